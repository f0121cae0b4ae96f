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


class _Active(msgspec.Struct, frozen=True):
    digest: str


class BundleStore:
    """All bundles, compiled once when the watch brings them; what was loaded stays while NATS is away."""

    def __init__(self, bus: Bus, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._bus = bus
        self._pause = pause
        self._bundles: dict[str, Bundle] = {}
        self._active: dict[str, str] = {}
        self._ready = asyncio.Event()
        self._watches: list[Subscription] = []

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
            _log.info("%d bundles loaded, %d active", len(self._bundles), len(self._active))
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

    def active(self, pack: str) -> Bundle:
        """The pack's active bundle; raises NotFound, or Unavailable before the first reading."""
        digest = self._active.get(pack)
        if digest is None:
            self._check_ready()
            raise NotFound("this pack has no active bundle", field="pack")
        return self.get(digest)

    def active_digests(self) -> Mapping[str, str]:
        """Pack → digest."""
        return dict(self._active)

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
        """Compare-and-set of the active digest; raises Conflict naming what is active."""
        self._check_ready()
        bucket = self._bus.bucket(BUCKET)
        entry = await bucket.get(f"active.{pack}")
        previous = msgspec.json.decode(entry.value, type=_Active).digest if entry else ""
        if previous == digest:
            return previous
        if previous != expected:
            raise Conflict(f"active is {previous or 'none'}, not the expected one", field="expected_digest")
        value = msgspec.json.encode(_Active(digest))
        if entry is None:
            await bucket.create(f"active.{pack}", value)
        else:
            await bucket.update(f"active.{pack}", value, revision=entry.revision)
        self._active[pack] = digest
        return previous

    def _check_ready(self) -> None:
        if not self._ready.is_set():
            raise Unavailable("bundles have not been read yet: NATS cannot be reached")

    async def _on_bundle(self, key: str, entry: Entry | None) -> None:
        digest = f"sha256:{key.removeprefix('bundle.')}"
        # Bundles are immutable: a removed one stays for the sessions that pinned it.
        if entry is None or digest in self._bundles:
            return
        try:
            stored = msgspec.json.decode(entry.value, type=_Stored)
            files = {name: text.encode() for name, text in stored.files.items()}
            tools = {name: SideEffect(tool) for name, tool in stored.tools.items()}
            bundle = compile_bundle(files, pack=stored.pack, tools=tools).bundle
        except (msgspec.MsgspecError, ValueError, BrokenBundleError) as error:
            # Stored by another release with other rules of what is allowed; sessions that pinned it get NotFound.
            _log.error("bundle %s cannot be loaded: %s", digest, error)
            return
        if bundle.digest != digest:
            _log.error("bundle %s has the content of %s", digest, bundle.digest)
            return
        self._bundles[digest] = bundle

    async def _on_active(self, key: str, entry: Entry | None) -> None:
        pack = key.removeprefix("active.")
        if entry is None:
            self._active.pop(pack, None)
            return
        try:
            self._active[pack] = msgspec.json.decode(entry.value, type=_Active).digest
        except msgspec.MsgspecError as error:
            _log.error("the active bundle of pack %s cannot be read: %s", pack, error)


def _bundle_key(digest: str) -> str:
    return f"bundle.{digest.removeprefix('sha256:')}"
