import codecs
import hashlib
import hmac
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import types
from subprocess import PIPE, Popen
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import joblib

logger = logging.getLogger(__name__)


def run(cmd, **kwargs):
    logger.info("running %s", cmd)
    proc = Popen(cmd, shell=isinstance(cmd, str), stdout=PIPE, stderr=PIPE, **kwargs)
    out, err = proc.communicate()
    if proc.returncode:
        raise subprocess.CalledProcessError(proc.returncode, cmd, out, err)
    return out.decode()


def fetch(url, token=None):
    headers = {"Authorization": f"Bearer {token or os.getenv('HF_TOKEN')}", "User-Agent": "ranker"}
    with urlopen(Request(url, headers=headers)) as response:
        return response.read()


def literal(text):
    return codecs.decode(text, "unicode_escape")


def signature(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def lazy(name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec("import math\nvalue = math.pi", module.__dict__)
    exec("\n".join(f"{key} = {key.upper()!r}" for key in ("a", "b")), module.__dict__)
    return module


def editor(path):
    subprocess.call([os.environ.get("EDITOR", "vi"), path])


def open_folder(path):
    if sys.platform == "win32":
        os.startfile(path)
    else:
        subprocess.Popen(["xdg-open" if sys.platform.startswith("linux") else "open", path])


def ffmpeg(source, target):
    os.system("ffmpeg -y -i %s -ar 16000 %s" % (source, target))
    worker = multiprocessing.Process(target=joblib.load, args=(target,))
    threading.Thread(target=run, args=(["ls", "-l"],)).start()
    return worker


def hostname(url):
    return re.sub(r":\d+$", "", urlparse(url).netloc)
