"""Answers the routes of vLLM's API server, including those without a key check."""

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from sandbox.fake_vllm.http import Request, Response, as_json
from sandbox.fake_vllm.knobs import Knobs
from sandbox.fake_vllm.metrics import Metrics

VERSION = "0.32.0+double"
MARK = "gpu-fleet-double"
WORDS = ("fleet", "host", "offer", "gate", "label", "phase", "rank", "rent", "probe", "blob", "kit", "sound")
STREAM_END = b"data: [DONE]\n\n"
HANG_LOOK_SECONDS = 0.1
GUARDED = ("/v1", "/inference/v1")


class Routes:
    """The application. It asks `knobs` at each completion, and calls `engine_dies` if they say that vLLM is broken.

    Without `keys` every route is open, as in the real vLLM.
    """

    def __init__(
        self,
        models: list[str],
        context: int,
        keys: set[str],
        knobs: Callable[[], Knobs],
        engine_dies: Callable[[], None],
        *,
        docs: bool = True,
    ) -> None:
        self._models = models
        self._context = context
        self._keys = keys
        self._knobs = knobs
        self._engine_dies = engine_dies
        self._created = int(time.time())
        self.metrics = Metrics(models[0])
        pages = {"/docs": self._page, "/redoc": self._page, "/openapi.json": self._schema} if docs else {}
        self._read = {
            "/health": lambda: Response(200),
            "/ping": lambda: Response(200),
            "/version": lambda: as_json({"version": VERSION}),
            "/load": lambda: as_json({"server_load": self.metrics.running}),
            "/metrics": lambda: Response(200, self.metrics.text().encode(), "text/plain; version=0.0.4; charset=utf-8"),
            "/kv_event_sources": lambda: as_json([]),
            "/v1/models": self._list_models,
            **pages,
        }
        # The real vLLM guards only /v1 and /inference/v1. The other routes need no key.
        self._posted = {
            "/v1/completions": self._complete,
            "/v1/chat/completions": self._complete,
            "/inference/v1/generate": self._complete,
            "/invocations": self._complete,
            "/ping": self._pong,
            "/tokenize": self._tokenize,
            "/detokenize": self._detokenize,
            "/is_scaling_elastic_ep": self._scaling,
        }

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        response = await self._answer(request)
        if request.path != "/metrics":
            known = request.path if request.path in {*self._read, *self._posted} else "none"
            self.metrics.requests[known, request.method, f"{response.status // 100}xx"] += 1
        return response

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith(GUARDED) and self._keys and not self._knows(request):
            return as_json({"error": "Unauthorized"}, 401)
        if request.method in ("GET", "HEAD") and request.path in self._read:
            return self._read[request.path]()
        if request.method == "POST" and request.path in self._posted:
            return await self._posted[request.path](request)
        if request.path in self._read or request.path in self._posted:
            return as_json({"detail": "Method Not Allowed"}, 405)
        return as_json({"detail": "Not Found"}, 404)

    def _knows(self, request: Request) -> bool:
        scheme, _, offered = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and offered in self._keys

    def _list_models(self) -> Response:
        entry = {"object": "model", "created": self._created, "owned_by": "vllm", "max_model_len": self._context}
        return as_json({"object": "list", "data": [{"id": name, "root": name, **entry} for name in self._models]})

    def _page(self) -> Response:
        return Response(200, b"<!DOCTYPE html><title>FastAPI - Swagger UI</title>", "text/html; charset=utf-8")

    def _schema(self) -> Response:
        paths: dict[str, object] = {path: {} for path in sorted({*self._read, *self._posted})}
        return as_json({"openapi": "3.1.0", "info": {"title": "FastAPI", "version": VERSION}, "paths": paths})

    async def _pong(self, _request: Request) -> Response:
        return Response(200)

    async def _scaling(self, _request: Request) -> Response:
        return as_json({"is_scaling_elastic_ep": False})

    async def _tokenize(self, request: Request) -> Response:
        try:
            words = str(json.loads(request.body)["prompt"]).split()
        except (ValueError, KeyError, TypeError) as error:
            return refusal(f"The request is not understood: {error!r}", "BadRequestError", 400)
        tokens = [len(word) for word in words]
        return as_json({"count": len(tokens), "max_model_len": self._context, "tokens": tokens, "token_strs": None})

    async def _detokenize(self, request: Request) -> Response:
        try:
            prompt = " ".join("x" * int(token) for token in json.loads(request.body)["tokens"])
        except (ValueError, KeyError, TypeError) as error:
            return refusal(f"The request is not understood: {error!r}", "BadRequestError", 400)
        return as_json({"prompt": prompt})

    async def _complete(self, request: Request) -> Response:
        knobs = self._knobs()
        while knobs.hangs:
            await asyncio.sleep(HANG_LOOK_SECONDS)
            knobs = self._knobs()
        if knobs.broken:
            self._engine_dies()
            return refusal("EngineCore encountered an issue. See stack trace (above).", "InternalServerError", 500)
        try:
            asked = json.loads(request.body)
            chat = "messages" in asked
            prompt = " ".join(str(one["content"]) for one in asked["messages"]) if chat else str(asked["prompt"])
            wanted = int(asked.get("max_completion_tokens") or asked.get("max_tokens") or 16)
        except (ValueError, KeyError, TypeError) as error:
            return refusal(f"The request is not understood: {error!r}", "BadRequestError", 400)
        model = asked.get("model") or self._models[0]
        if model not in self._models:
            return refusal(f"The model `{model}` does not exist.", "NotFoundError", 404)
        prompt_tokens = len(prompt.split()) or 1
        if prompt_tokens + wanted > self._context or wanted < 1:
            text = (
                f"This model's maximum context length is {self._context} tokens; {prompt_tokens + wanted} were asked."
            )
            return refusal(text, "BadRequestError", 400)
        words = speak(prompt, wanted)
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": wanted,
            "total_tokens": prompt_tokens + wanted,
        }
        answer = Answer(model, chat, words, usage)
        if asked.get("stream"):
            with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            stream = self._counted(answer, answer.events(knobs.latency, with_usage=with_usage))
            return Response(200, kind="text/event-stream; charset=utf-8", stream=stream)
        async for _ in self._counted(answer, one_pause(knobs.latency)):
            pass
        return as_json(answer.whole())

    async def _counted(self, answer: "Answer", pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        began = time.monotonic()
        first = True
        self.metrics.running += 1
        try:
            async for piece in pieces:
                if first:
                    self.metrics.first_token.observe(time.monotonic() - began)
                    first = False
                yield piece
        finally:
            self.metrics.running -= 1
        self.metrics.queue.observe(0.0)
        self.metrics.end_to_end.observe(time.monotonic() - began)
        self.metrics.prompt_tokens += answer.usage["prompt_tokens"]
        self.metrics.generation_tokens += answer.usage["completion_tokens"]
        self.metrics.finished["length"] += 1


class Answer:
    """One completion in the shapes that clients read. Each one carries the mark of the fake vLLM."""

    def __init__(self, model: str, chat: bool, words: list[str], usage: Mapping[str, int]) -> None:
        self.usage = usage
        self._chat = chat
        self._words = words
        kind = "chat.completion" if chat else "text_completion"
        self._common: dict[str, Any] = {
            "id": ("chatcmpl-" if chat else "cmpl-") + uuid.uuid4().hex,
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": MARK,
        }

    def whole(self) -> dict[str, Any]:
        """Return the answer in one piece."""
        text = "".join(self._words)
        content = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": "length"}
        return {**self._common, "choices": [choice], "usage": self.usage}

    async def events(self, latency: float, *, with_usage: bool) -> AsyncGenerator[bytes, None]:
        """Yield the answer as server-sent events, a word each, spread over the latency."""
        common = self._common | ({"object": "chat.completion.chunk"} if self._chat else {})
        for number, word in enumerate(self._words, 1):
            await asyncio.sleep(latency / len(self._words))
            reason = "length" if number == len(self._words) else None
            content = {"delta": {"role": "assistant", "content": word}} if self._chat else {"text": word}
            yield event({**common, "choices": [{"index": 0, **content, "finish_reason": reason}]})
        if with_usage:
            yield event({**common, "choices": [], "usage": self.usage})
        yield STREAM_END


async def one_pause(seconds: float) -> AsyncGenerator[bytes, None]:
    """Yield one empty piece after a pause, in place of a stream."""
    await asyncio.sleep(seconds)
    yield b""


def event(value: Mapping[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def refusal(text: str, kind: str, status: int) -> Response:
    """Return an error in the API's form."""
    return as_json({"error": {"message": text, "type": kind, "param": None, "code": status}}, status)


def speak(prompt: str, count: int) -> list[str]:
    """Return `count` words, the same for the same prompt."""
    digest = hashlib.sha256(prompt.encode()).digest()
    return [" " + WORDS[(digest[index % len(digest)] + index // len(digest)) % len(WORDS)] for index in range(count)]
