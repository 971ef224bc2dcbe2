"""Drives chaos-proxy with toxiproxy-python, as it comes from PyPI, and measures what it does to connections.

    client.py PROXY     where PROXY is the binary
"""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time

from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

PATIENCE = 20


def main(binary):
    with running(binary) as (server, control), upstream(echo) as callee:
        server.update_api_consumer(*control)
        assert server.running() and b'"version"' in server.version()
        for check in CHECKS:
            server.destroy_all()
            check(server, callee)
            print(f"ok  {check.__name__}", flush=True)


def creates_and_deletes(server, callee):
    assert server.proxies() == {} and server.get_proxy("web") is None
    proxy = create(server, callee)
    assert (proxy.name, proxy.enabled, proxy.upstream) == ("web", True, callee)
    assert works(proxy)
    raises(ProxyExists, lambda: create(server, callee))
    assert server.destroy(proxy) and server.proxies() == {}
    raises(NotFound, proxy.destroy)
    assert not works(proxy)


def populates(server, callee):
    listen = f"127.0.0.1:{free_port()}"
    config = [{"name": "web", "listen": listen, "upstream": callee}, {"name": "b", "upstream": callee, "enabled": False}]
    assert [proxy.name for proxy in server.populate(config)] == ["web", "b"]
    web, off = server.get_proxy("web"), server.get_proxy("b")
    assert web.listen == listen and works(web) and not off.enabled and not works(off)
    assert server.populate(config[:1]) == [], "what is the same stays"
    moved = server.populate([{"name": "web", "listen": f"127.0.0.1:{free_port()}", "upstream": callee}])
    assert len(moved) == 1 and works(moved[0]) and not works(web)


def disables_and_enables(server, callee):
    proxy = create(server, callee)
    with connected(proxy) as connection:
        with proxy.down():
            assert ended(connection) and not works(proxy) and not server.get_proxy("web").enabled
        assert works(proxy) and server.get_proxy("web").enabled


def resets(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="latency", attributes={"latency": 1})
    proxy.disable()
    assert server.reset()
    assert works(proxy) and proxy.toxics() == {}


def names_what_is_wrong(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="latency")
    raises(ProxyExists, lambda: proxy.add_toxic(type="latency"))
    raises(InvalidToxic, lambda: proxy.add_toxic(type="gremlin"))
    raises(InvalidToxic, lambda: proxy.add_toxic(type="latency", stream="sideways"))
    raises(InvalidToxic, lambda: proxy.add_toxic(type="latency", name="b", attributes={"latency": "much"}))
    raises(InvalidToxic, lambda: proxy.add_toxic(type="latency", name="b", attributes={"latency": [1]}))
    # Toxiproxy takes a negative time for none.
    proxy.add_toxic(type="latency", name="b", attributes={"latency": -1})
    assert works(proxy)
    proxy.destroy_toxic("b")
    raises(NotFound, lambda: proxy.destroy_toxic("nothing"))
    assert list(proxy.toxics()) == ["latency_downstream"] and works(proxy)


def latency(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="latency", attributes={"latency": 60, "jitter": 10})
    toxic = proxy.get_toxic("latency_downstream")
    assert (toxic.type, toxic.stream, toxic.toxicity) == ("latency", "downstream", 1)
    assert toxic.attributes == {"latency": 60, "jitter": 10}
    with connected(proxy) as connection:
        took = min(timed(lambda: ping(connection)) for _ in range(5))
    assert 0.05 <= took < 1, took
    proxy.destroy_toxic("latency_downstream")
    with connected(proxy) as connection:
        assert min(timed(lambda: ping(connection)) for _ in range(5)) < 0.05
    return took


def timeout(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="timeout", stream="upstream", attributes={"timeout": 200})
    with connected(proxy, check=False) as connection:
        connection.sendall(b"hello")
        took = timed(lambda: check(ended(connection)))
    assert 0.15 <= took < 5, took


def reset_peer(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="reset_peer", attributes={"timeout": 200})
    with connected(proxy, check=False) as connection:
        # As with Toxiproxy, the time begins with the first data.
        connection.sendall(b"ping")
        took = timed(lambda: raises(ConnectionResetError, lambda: connection.recv(1)))
    assert 0.15 <= took < 5, took


def limit_data(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="limit_data", attributes={"bytes": 100})
    with connected(proxy, check=False) as connection:
        connection.sendall(bytes(150))
        assert len(read_all(connection)) == 100


def bandwidth(server, _callee):
    with upstream(source) as callee:
        proxy = create(server, callee)
        proxy.add_toxic(type="bandwidth", attributes={"rate": 100})
        with connected(proxy, check=False) as connection:
            took = timed(lambda: check(len(read_all(connection)) == SOURCE))
    assert 0.3 <= took < 5, took


def slow_close(server, _callee):
    with upstream(source) as callee:
        proxy = create(server, callee)
        proxy.add_toxic(type="slow_close", attributes={"delay": 300})
        with connected(proxy, check=False) as connection:
            took = timed(lambda: check(len(read_all(connection)) == SOURCE))
    assert 0.25 <= took < 5, took


def slicer(server, _callee):
    with upstream(source) as callee:
        proxy = create(server, callee)
        proxy.add_toxic(type="slicer", attributes={"average_size": 4000, "size_variation": 1000, "delay": 10000})
        with connected(proxy, check=False) as connection:
            pieces = list(iter(lambda: connection.recv(SOURCE), b""))
    assert sum(map(len, pieces)) == SOURCE and 5 <= len(pieces) <= 20, list(map(len, pieces))


def toxicity(server, callee):
    proxy = create(server, callee)
    proxy.add_toxic(type="reset_peer", toxicity=0.5, attributes={"timeout": 0})
    served = [works(proxy) for _ in range(40)]
    assert 5 <= sum(served) <= 35, served


CHECKS = [
    creates_and_deletes, populates, disables_and_enables, resets, names_what_is_wrong,
    latency, timeout, reset_peer, limit_data, bandwidth, slow_close, slicer, toxicity,
]  # fmt: skip


@contextlib.contextmanager
def running(binary):
    """The proxy under test; it must end by itself when told so."""
    command = [binary, "--port", "0", "--seed", "7"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stderr if "control API on" in line)
        host, port = line.strip().rsplit("/", 1)[1].split(":")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Toxiproxy(), (host, int(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, process.returncode
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def upstream(serve):
    """A server on loopback; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener, serve), daemon=True).start()
        yield "%s:%d" % listener.getsockname()


def accept(listener, serve):
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def echo(connection):
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            connection.sendall(data)


SOURCE = 50_000


def source(connection):
    with connection, contextlib.suppress(OSError):
        connection.sendall(bytes(SOURCE))


def create(server, callee):
    return server.create(name="web", upstream=callee, listen="127.0.0.1:0")


@contextlib.contextmanager
def connected(proxy, check=True):
    host, port = proxy.listen.rsplit(":", 1)
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        if check:
            ping(connection)
        yield connection


def ping(connection):
    connection.sendall(b"ping")
    answer = connection.recv(4)
    if answer != b"ping":
        raise ConnectionError(answer)


def works(proxy):
    try:
        with connected(proxy):
            return True
    except OSError:
        return False


def read_all(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def ended(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def timed(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def raises(error, action):
    try:
        action()
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")


def check(condition):
    assert condition


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


if __name__ == "__main__":
    main(sys.argv[1])
