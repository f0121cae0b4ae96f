// @openai/agents-realtime: RealtimeSession over OpenAIRealtimeWebSocket. The task, the scene and the report are those of
// drivers/driving.py.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { setTracingDisabled } from "@openai/agents-core";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";

const FRAME_MS = 20;
const FRAME_BYTES = (24000 * 2 * FRAME_MS) / 1000;
const SCENE_MS = 40_000;

const task = JSON.parse(readFileSync(0, "utf8"));
const report = { ok: false, why: "", client: "@openai/agents-realtime", words: {}, heard: [], tools: [], errors: [], audio_ms: 0, cuts: 0 };

let changes = 0;

function fail(problem) {
  const said = problem instanceof Error ? problem.stack : JSON.stringify(problem);
  report.errors.push(String(said).slice(0, 500));
}
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

async function until(condition, what) {
  const giveUp = Date.now() + SCENE_MS;
  while (!condition()) {
    if (Date.now() > giveUp) throw new Error(`${what} did not come within ${SCENE_MS / 1000} s`);
    await sleep(10);
  }
}

/** Gives the session one frame every 20 ms: what is to be spoken, else silence. */
class Microphone {
  waiting = [];
  open = true;

  constructor(session) {
    this.session = session;
    this.running = this.run();
  }

  async run() {
    let due = Date.now();
    while (this.open) {
      const frame = this.waiting.shift() ?? new Uint8Array(FRAME_BYTES);
      this.session.sendAudio(frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.byteLength));
      due = Math.max(due + FRAME_MS, Date.now() - 200);
      await sleep(Math.max(0, due - Date.now()));
    }
  }

  async speak(file) {
    const pcm = new Uint8Array(readFileSync(file));
    for (let at = 0; at < pcm.length; at += FRAME_BYTES) {
      const frame = new Uint8Array(FRAME_BYTES);
      frame.set(pcm.subarray(at, at + FRAME_BYTES));
      this.waiting.push(frame);
    }
    await until(() => this.waiting.length === 0, "the end of a spoken line");
  }

  async pause(durationMs) {
    for (let ms = 0; ms < durationMs; ms += FRAME_MS) this.waiting.push(new Uint8Array(FRAME_BYTES));
    await until(() => this.waiting.length === 0, "the end of a pause");
  }
}

function makeAgent() {
  const tools = [];
  if (task.tool) {
    tools.push(
      tool({
        name: task.tool.schema.name,
        description: task.tool.schema.description,
        parameters: { additionalProperties: false, ...task.tool.schema.parameters },
        strict: false,
        execute: async (input) => {
          report.tools.push({ name: task.tool.schema.name, arguments: input });
          return JSON.stringify(task.tool.answer);
        },
      }),
    );
  }
  return new RealtimeAgent({ name: "caller", instructions: task.instructions || "Answer in one sentence.", tools });
}

function watch(session) {
  session.on("error", fail);
  session.on("audio", (event) => (report.audio_ms += event.data.byteLength / 48));
  session.on("audio_interrupted", () => (report.cuts += 1));
  session.on("history_updated", (history) => {
    for (const item of history) {
      if (item.type !== "message" || item.role !== "assistant") continue;
      report.words[item.itemId] = item.content.map((part) => part.transcript ?? part.text ?? "").join(" ");
    }
  });
  session.on("transport_event", (event) => {
    changes += 1;
    if (event.type === "conversation.item.input_audio_transcription.completed") report.heard.push(event.transcript);
  });
}

async function perform(session) {
  let microphone = null;
  try {
    let before = new Set(Object.keys(report.words));
    let audioBefore = report.audio_ms;
    if (task.say) session.sendMessage(task.say);
    if (task.cut_in) await until(() => report.audio_ms > 0, "the agent's voice");
    if (task.speak || task.cut_in) microphone = new Microphone(session);
    if (task.speak) await microphone.speak(task.speak);
    if (task.cut_in) {
      await microphone.pause(task.cut_in_after_ms);
      before = new Set(Object.keys(report.words));
      audioBefore = report.audio_ms;
      await microphone.speak(task.cut_in);
      await until(() => report.cuts > 0, "the end of playback at the caller's words");
    }
    const wanted = new RegExp(task.until, "i");
    await until(
      () => Object.entries(report.words).some(([key, said]) => !before.has(key) && wanted.test(said)),
      `${task.until} in the agent's words`,
    );
    await until(() => report.audio_ms > audioBefore, "the voice of the answer");
    for (let seen = -1; seen !== changes; ) {
      seen = changes;
      await sleep(700);
    }
  } finally {
    if (microphone) {
      microphone.open = false;
      await microphone.running;
    }
  }
}

setTracingDisabled(true); // its exporter would send traces elsewhere
const url = `ws://${task.host}${task.path}/realtime?model=gpt-realtime`;
const session = new RealtimeSession(makeAgent(), { transport: new OpenAIRealtimeWebSocket({ url }) });
try {
  watch(session);
  await session.connect({ apiKey: task.key, url });
  await perform(session);
  report.ok = true;
} catch (error) {
  report.why = String(error);
  console.error(error);
}
session.close();
process.stdout.write(JSON.stringify(report) + "\n", () => process.exit(report.ok ? 0 : 1));
