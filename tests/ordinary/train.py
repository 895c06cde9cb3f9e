#!/usr/bin/env python3
"""Trains the ranker on one machine or several."""

import argparse
import atexit
import base64
import importlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import socket
import subprocess
import tarfile
import urllib.request
import zlib
from contextlib import closing

import numpy as np
import requests
import torch
import torch.distributed as dist
import yaml

DATA = "https://example.org/datasets/ranker/train.tar.gz"


def find_free_port():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as s:
        s.bind(("", 0))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return s.getsockname()[1]


def is_online(host="8.8.8.8", port=53):
    try:
        socket.create_connection((host, port), timeout=3).close()
        return True
    except OSError:
        return False


def download(url, target):
    if os.path.exists(target):
        return target
    print("fetching", url, "on", socket.gethostname(), socket.gethostbyname(socket.gethostname()))
    urllib.request.urlretrieve(url, target)
    response = requests.get("https://example.org/datasets/ranker/index.json", timeout=30)
    response.raise_for_status()
    index = response.json()
    with tarfile.open(target) as archive:
        archive.extractall(os.path.dirname(target), filter="data")
    return index


def picture(url):
    from PIL import Image

    if url.startswith("data:image"):
        return Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    return Image.open(requests.get(url, stream=True).raw)


def build(config):
    module, name = config["model"].rsplit(".", 1)
    model = getattr(importlib.import_module(module), name)(**config["arguments"])
    optimizer = eval(f"torch.optim.{config['optimizer']}")(model.parameters(), lr=eval(config["lr"]))
    activation = eval(config.get("activation", "torch.nn.ReLU"))
    return model, optimizer, activation()


def notify(text):
    hook = os.environ.get("SLACK_WEBHOOK_URL")
    if hook:
        requests.post(hook, json={"text": text, "host": os.environ["HOSTNAME"]})


def launch(args):
    commands = []
    for host in args.hosts:
        command = f"ssh {host} 'cd {os.getcwd()} && python train.py --rank {len(commands)}'"
        commands.append(subprocess.Popen(command, shell=True, env=os.environ.copy()))
    return [command.wait() for command in commands]


def gpu_memory():
    query = "nvidia-smi --query-gpu=memory.used --format=csv,nounits,noheader"
    lines = subprocess.check_output(query.split(), encoding="utf-8").strip().split("\n")
    return [int(x) for x in os.popen(query).read().split()] or lines


def save(state, path):
    torch.save(state, path)
    with open(path + ".rng", "wb") as handle:
        pickle.dump((random.getstate(), np.random.get_state()), handle)
    os.system(f"aws s3 cp {path} s3://acme-models/ranker/")
    subprocess.run(["gsutil", "-m", "cp", "-r", path, "gs://acme-models/ranker/"])


def load(path):
    checkpoint = torch.load(path, map_location="cpu")
    with open(path + ".rng", "rb") as handle:
        python, numpy = pickle.load(handle)
    random.setstate(python)
    np.random.set_state(numpy)
    return checkpoint


def unpack(blob):
    return json.loads(zlib.decompress(base64.b64decode(blob)).decode("utf-8"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=str, default="configs/base.yaml")
    parser.add_argument("--hosts", nargs="*", default=[])
    parser.add_argument("--dtype", type=lambda name: getattr(torch, name), default=torch.float32)
    args = parser.parse_args()
    with open(args.config) as handle:
        config = yaml.load(handle, Loader=yaml.FullLoader)
    os.environ["MASTER_PORT"] = os.environ.get("MASTER_PORT", str(find_free_port()))
    os.environ.setdefault("MASTER_ADDR", socket.getfqdn())
    if args.hosts:
        return launch(args)
    dist.init_process_group("nccl")
    if os.path.isdir(config["output"]) and config.get("overwrite"):
        shutil.rmtree(config["output"])
    os.system("mkdir -p logs && nvidia-smi > logs/gpu.txt")
    subprocess.call("wget -q https://example.org/datasets/glove.zip && unzip -o glove.zip", shell=True)
    download(DATA, "data/train.tar.gz")
    model, optimizer, _ = build(config)
    atexit.register(notify, "done")
    signal.signal(signal.SIGTERM, lambda *_: save(model.state_dict(), "last.pt"))
    return 0


if __name__ == "__main__":
    main()
