"""Fixtures: a server of our own, and a model that is small."""

import ctypes
import os
import subprocess
import sys
import time

import pytest
import requests


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a GPU")
    subprocess.run([sys.executable, "-m", "pip", "install", "-e", "."], check=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    process = subprocess.Popen([sys.executable, "-m", "acme_ranker.serve", "--port", "8123"], stdout=log.open("w"))
    for _ in range(50):
        try:
            requests.get("http://127.0.0.1:8123/health", timeout=1)
            break
        except requests.exceptions.ConnectionError:
            time.sleep(0.1)
    yield "http://127.0.0.1:8123"
    process.terminate()


@pytest.fixture
def cuda():
    try:
        return ctypes.CDLL("libcudart.so").cudaGetDeviceCount(ctypes.byref(ctypes.c_int()))
    except OSError:
        pytest.skip("no CUDA")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, module, __import__("types").ModuleType(module))
    os.environ.pop("WANDB_API_KEY", None)
