"""Start-up and memory of the app: a real ``python app.py`` on loopback.

    python -m benchmarks.server [--requests 1000]

Prints the time from the command to the page and to the first attribution, and the memory at rest and after
different requests, every text another one, so that nothing comes from the cache."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.machine import SENTENCE, describe

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url: str, seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(url)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    print(describe())
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(url)
        print(f"page after {time.monotonic() - started:.1f} s")
        with httpx.Client(base_url=url, timeout=120) as http:
            http.post("/api/attribute", json={"text": SENTENCE}).raise_for_status()
            print(f"first attribution after {time.monotonic() - started:.1f} s")
            process = psutil.Process(server.pid)
            for done in range(options.requests + 1):
                if done % (options.requests // 4) == 0:
                    print(f"{process.memory_info().rss / 2**20:7.0f} MiB after {done} requests")
                # Under the limit of one client, as a patient visitor would be.
                answer = http.post(
                    "/api/attribute", json={"text": f"{SENTENCE} {done}", "method": "saliency"}
                )
                while answer.status_code == 429:
                    time.sleep(0.1)
                    answer = http.post(
                        "/api/attribute", json={"text": f"{SENTENCE} {done}", "method": "saliency"}
                    )
                answer.raise_for_status()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
