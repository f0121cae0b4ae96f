"""Bundles in the bucket `policy`: `bundle.<hex>` holds the files, `active.<pack>` the digest; read by watch.

The twin without a server is the same class on a MemoryBus.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from ringback_errors import Conflict, InvalidInput, NotFound, RingbackError, Unavailable
from ringback_events import Bus, Entry, Subscription, load_topology

from ringback_policy.domain.compiling import compile_bundle
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.rollout import CHANGED_MEANWHILE, Rollout, bundle_for
from ringback_policy.domain.vocabulary import SideEffect

__all__ = ["BundleStore"]

BUCKET = "policy"
BUNDLES_MAX = 512
RETRY_MS = 1_000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_log = logging.getLogger("ringback.policy.bundles")


class _Stored(msgspec.Struct, frozen=True):
    pack: str
    files: dict[str, str]
    tools: dict[str, int] = {}


class BundleStore:
    """All bundles, compiled once when the watch brings them; what was loaded stays while NATS is away."""

    def __init__(self, bus: Bus, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._bus = bus
        self._pause = pause
        self._bundles: dict[str, Bundle] = {}
        self._rollouts: dict[str, Rollout] = {}
        self._tightened: dict[str, str] = {}
        self._ready = asyncio.Event()
        self._watches: list[Subscription] = []
        # One at a time: the watch and a session that cannot wait for it may want the same.
        self._loading = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether the bucket has been read once."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Returns when the bucket has been read once."""
        await self._ready.wait()

    async def probe(self) -> None:
        """For health: raises Unavailable until the bucket has been read. Later, loaded bundles suffice."""
        self._check_ready()

    async def open(self) -> None:
        """Reads the bucket and goes on watching it; tries until it succeeds."""
        while True:
            try:
                await self._bus.ensure(load_topology(), "policy")
                self._watches.append(await self._bus.bucket(BUCKET).watch("bundle.", self._on_bundle))
                self._watches.append(await self._bus.bucket(BUCKET).watch("active.", self._on_active))
            except RingbackError as error:
                _log.warning("bundles cannot be read yet: %s", error)
                await self.close()
                await self._pause(RETRY_MS / 1000)
                continue
            self._ready.set()
            _log.info("%d bundles loaded, %d active", len(self._bundles), len(self._rollouts))
            return

    async def close(self) -> None:
        """Ends the watches."""
        watches, self._watches = self._watches, []
        for watch in watches:
            await watch.close()

    def get(self, digest: str) -> Bundle:
        """The bundle; raises NotFound, or Unavailable before the first reading."""
        found = self._bundles.get(digest)
        if found is not None:
            return found
        self._check_ready()
        raise NotFound("no bundle of this digest is stored", field="bundle_digest")

    async def fetch(self, digest: str) -> Bundle:
        """The bundle, read from the bucket when the watch has not brought it yet; raises NotFound or Unavailable."""
        if digest not in self._bundles and _DIGEST.fullmatch(digest):
            self._check_ready()
            await self._on_bundle(
                _bundle_key(digest), await self._bus.bucket(BUCKET).get(_bundle_key(digest))
            )
        return self.get(digest)

    def deciding(self, digest: str) -> Bundle:
        """The bundle itself, or the stricter one that was promoted over it since."""
        tightened = self._tightened.get(digest) if self._tightened else None
        return self.get(digest if tightened is None or tightened not in self._bundles else tightened)

    def active(self, pack: str) -> Bundle:
        """The pack's active bundle; raises NotFound, or Unavailable before the first reading."""
        return self.get(self.for_session(pack, tenant="", session_id=""))

    def for_session(self, pack: str, *, tenant: str, session_id: str) -> str:
        """The digest of the active bundle or, inside a canary, of its candidate; raises as `active` does."""
        rollout = self._rollouts.get(pack)
        if rollout is None or not rollout.digest:
            self._check_ready()
            raise NotFound("this pack has no active bundle", field="pack")
        return bundle_for(rollout, tenant=tenant, session_id=session_id)

    def active_digests(self) -> Mapping[str, str]:
        """Pack → digest."""
        return {pack: rollout.digest for pack, rollout in self._rollouts.items()}

    def all(self) -> tuple[Bundle, ...]:
        """All loaded bundles, by pack and digest."""
        return tuple(sorted(self._bundles.values(), key=lambda bundle: (bundle.pack, bundle.digest)))

    async def store(
        self, bundle: Bundle, files: Mapping[str, bytes], tools: Mapping[str, SideEffect]
    ) -> None:
        """Keeps a bundle under its digest."""
        self._check_ready()
        if bundle.digest not in self._bundles and len(self._bundles) >= BUNDLES_MAX:
            raise InvalidInput(f"expected at most {BUNDLES_MAX} bundles", field="files")
        stored = _Stored(
            bundle.pack,
            {name: content.decode() for name, content in files.items()},
            {name: int(tool) for name, tool in tools.items()},
        )
        try:
            await self._bus.bucket(BUCKET).create(_bundle_key(bundle.digest), msgspec.json.encode(stored))
        except Conflict:
            _log.debug("bundle %s is stored already", bundle.digest)
        self._bundles[bundle.digest] = bundle

    async def activate(self, pack: str, digest: str, *, expected: str) -> str:
        """Compare-and-set of the active digest, past a rollout; raises Conflict naming what is active."""
        now = await self.rollout(pack)
        if now.digest == digest:
            return digest
        if now.digest != expected:
            raise Conflict(f"active is {now.digest or 'none'}, not the expected one", field="expected_digest")
        if now.share:
            raise Conflict("a canary runs; promote it or roll it back first", field="bundle_digest")

        def step(current: Rollout) -> Rollout:
            return msgspec.structs.replace(
                current, digest=digest, previous=current.digest, candidate="", revision=current.revision + 1
            )

        await self.change(pack, now.revision, step)
        return now.digest

    async def rollout(self, pack: str) -> Rollout:
        """What the bucket holds now."""
        self._check_ready()
        entry = await self._bus.bucket(BUCKET).get(f"active.{pack}")
        return msgspec.json.decode(entry.value, type=Rollout) if entry else Rollout()

    async def change(
        self, pack: str, expected_revision: int, step: Callable[[Rollout], Rollout]
    ) -> tuple[Rollout, Rollout]:
        """One step by compare-and-set; raises Conflict naming the revision that it is at."""
        self._check_ready()
        bucket, key = self._bus.bucket(BUCKET), f"active.{pack}"
        entry = await bucket.get(key)
        before = msgspec.json.decode(entry.value, type=Rollout) if entry else Rollout()
        if before.revision != expected_revision:
            raise Conflict(
                f"the rollout is at revision {before.revision}: look at it again", field="expected_revision"
            )
        after = step(before)
        value = msgspec.json.encode(after)
        try:
            if entry is None:
                await bucket.create(key, value)
            else:
                await bucket.update(key, value, revision=entry.revision)
        except Conflict:
            raise Conflict(CHANGED_MEANWHILE, field="expected_revision") from None
        self._take(pack, after)
        return before, after

    def _check_ready(self) -> None:
        if not self._ready.is_set():
            raise Unavailable("bundles have not been read yet: NATS cannot be reached")

    async def _on_bundle(self, key: str, entry: Entry | None) -> None:
        async with self._loading:
            await self._load(key, entry)

    async def _load(self, key: str, entry: Entry | None) -> None:
        digest = f"sha256:{key.removeprefix('bundle.')}"
        # Bundles are immutable: a removed one stays for the sessions that pinned it.
        if entry is None or digest in self._bundles:
            return
        try:
            stored = msgspec.json.decode(entry.value, type=_Stored)
            files = {name: text.encode() for name, text in stored.files.items()}
            tools = {name: SideEffect(tool) for name, tool in stored.tools.items()}
            # In a thread of its own: a large one takes a second, for which nobody's decision waits.
            compiled = await asyncio.to_thread(compile_bundle, files, pack=stored.pack, tools=tools)
        except (msgspec.MsgspecError, ValueError, BrokenBundleError) as error:
            # Stored by another release with other rules of what is allowed; sessions that pinned it get NotFound.
            _log.error("bundle %s cannot be loaded: %s", digest, error)
            return
        bundle = compiled.bundle
        if bundle.digest != digest:
            _log.error("bundle %s has the content of %s", digest, bundle.digest)
            return
        self._bundles[digest] = bundle

    async def _on_active(self, key: str, entry: Entry | None) -> None:
        pack = key.removeprefix("active.")
        if entry is None:
            self._take(pack, Rollout())
            return
        try:
            self._take(pack, msgspec.json.decode(entry.value, type=Rollout))
        except msgspec.MsgspecError as error:
            _log.error("the rollout of pack %s cannot be read: %s", pack, error)

    def _take(self, pack: str, rollout: Rollout) -> None:
        """The watch may bring what was known already, never something older than that."""
        known = self._rollouts.get(pack)
        if rollout.digest and known is not None and rollout.revision < known.revision:
            return
        if rollout.digest or rollout.candidate:
            self._rollouts[pack] = rollout
        else:
            self._rollouts.pop(pack, None)
        self._tightened = {old: new for one in self._rollouts.values() for old, new in one.tightened.items()}


def _bundle_key(digest: str) -> str:
    return f"bundle.{digest.removeprefix('sha256:')}"
