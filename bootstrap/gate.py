"""Render the gate's configuration, pure: TLS and a bearer token in front of vLLM, closed unless a file says open.

The gate's answers:

    GET /health                         vLLM's answer, for anybody
    /v1/* without a good token          401
    /v1/* with it, open file missing    503, Retry-After
    /v1/* with it                       vLLM's answer; at its end one line in admitted.log, but not for GET
    POST /lease with a good token       204, if the fleet has a lease; one line in lease.log, and none in admitted.log
    anything else                       404, token or not: vLLM serves inference and metrics there without any key
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Caddy's name of the gate's server, a label of its metrics. Running hosts use it; another name would make the next update
# restart every gate and cut its streams.
SERVER = "door"
WELL_FORMED = "[A-Za-z0-9_-]{32,128}"
RETRY_SECONDS = 30
# vLLM closes connections that were idle for a time, 5 s by default. A request that Caddy sends at that moment gets an
# empty 502, and Caddy does not repeat a POST. So Caddy closes them first; on loopback a new one costs nothing.
ENGINE_IDLE = "4s"


@dataclass(frozen=True)
class Places:
    """Name folders, ports and addresses on a host; tests use others. Folders are absolute, ports are TCP."""

    etc: str = "/opt/gpu-fleet/etc"
    run: str = "/run/gpu-fleet"
    metrics_port: int = 9180
    engine: str = "127.0.0.1:8000"
    listen: str = ""
    engine_idle: str = ENGINE_IDLE


def caddyfile(port: int, places: Places = Places(), *, lease: bool = False) -> str:
    """Return the Caddyfile of a gate on `port`. With `lease`, clients may renew the host's lease.

    It holds no secret: Caddy reads tokens from files at each request. Rewriting such a file rotates the token without a
    reload, which would cut streams and reset the in-flight gauge. The agent reads idleness from that gauge
    (`caddy_http_requests_in_flight` of SERVER, on loopback) and from admitted.log. Caddy's counters do not serve:
    they miss every request that a client aborts.
    """
    return f"""{{
	admin off
	auto_https off
	persist_config off
	metrics
	servers {places.listen}:{port} {{
		name {SERVER}
		protocols h1 h2
		timeouts {{
			read_header 10s
			idle 2m
		}}
	}}
	servers 127.0.0.1:{places.metrics_port} {{
		name mon
		protocols h1
	}}
	log {{
		output stderr
		level WARN
	}}
}}

(answer) {{
	@closed not file {{
		root {places.run}
		try_files open
	}}
	handle @closed {{
		log_skip
		header Retry-After {RETRY_SECONDS}
		header Content-Type application/json
		respond `{{"error":"closed"}}` 503
	}}
	@looking method GET HEAD OPTIONS
	log_skip @looking
	handle {{
		reverse_proxy {places.engine} {{
			flush_interval -1
			header_up -Authorization
			transport http {{
				keepalive {places.engine_idle}
			}}
		}}
	}}
}}

{_RENEW if lease else ""}http://127.0.0.1:{places.metrics_port} {{
	bind 127.0.0.1
	metrics /metrics
}}

https://:{port} {{
	{_bind(places)}tls {places.etc}/tls.crt {places.etc}/tls.key
{_lease_log(places) if lease else ""}	log {{
{_file(places, "admitted.log", "4MiB", 2, (*_PRIVATE, "logger", "msg", "level"))}
	}}
	route {{
		header -Server
		header -Via

		@health {{
			method GET
			path /health
		}}
		handle @health {{
			log_skip
			reverse_proxy {places.engine} {{
				header_up -Authorization
				transport http {{
					keepalive {places.engine_idle}
				}}
			}}
		}}

{_lease(places) if lease else ""}		@api path /v1/*
		handle @api {{
{_tokens(places, "import answer")}
{_UNAUTHORIZED}
		}}

		handle {{
			log_skip
			respond 404
		}}
	}}
}}
"""


_PRIVATE = ("request", "resp_headers", "user_id")  # fields of a log line that may name a request's client or token
_RENEW = """(renew) {
	log_name lease
	respond 204
}

"""


def _bind(places: Places) -> str:
    return f"bind {places.listen}\n\t" if places.listen else ""


_UNAUTHORIZED = """			handle {
				log_skip
				header WWW-Authenticate Bearer
				header Content-Type application/json
				respond `{"error":"Unauthorized"}` 401
			}"""


def _lease_log(places: Places) -> str:
    # The log's moment of change is the lease: the host never reads the log's text.
    return f"""	log lease {{
		no_hostname
{_file(places, "lease.log", "1MiB", 1, _PRIVATE)}
	}}
"""


def _file(places: Places, name: str, size: str, keep: int, deleted: Iterable[str]) -> str:
    """Return a log's file and the fields that its lines leave out. The log rolls at `size`; `keep` old files stay."""
    fields = "\n".join(f"				{field} delete" for field in deleted)
    return f"""		output file {places.run}/{name} {{
			mode 0640
			roll_size {size}
			roll_keep {keep}
		}}
		format filter {{
			wrap json
			fields {{
{fields}
			}}
		}}"""


def _lease(places: Places) -> str:
    return f"""		@lease {{
			method POST
			path /lease
		}}
		handle @lease {{
{_tokens(places, "import renew")}
{_UNAUTHORIZED}
		}}

"""


def _tokens(places: Places, then: str) -> str:
    # Two files: during a rotation the old token is valid too, until the new one is proven. The rule checks the file's
    # content as well as the header. Otherwise a missing or empty file would make "Bearer " a valid header over HTTP/2,
    # which keeps the blank, and a lone `*` in it would be a pattern that lets everybody in. Checking the header alone is
    # not enough, because a request may carry two.
    return "\n".join(
        f"""			@{name} {{
				vars_regexp {{file.{places.etc}/{file}}} ^{WELL_FORMED}$
				header_regexp Authorization ^Bearer\\s{WELL_FORMED}$
				header Authorization "Bearer {{file.{places.etc}/{file}}}"
			}}
			handle @{name} {{
				{then}
			}}"""
        for name, file in (("token", "token"), ("previous", "token.previous"))
    )
