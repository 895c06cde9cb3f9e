"""Packaging of the ranker, with its one CUDA extension."""

import os
import re
import subprocess
import sys
from pathlib import Path

from setuptools import Command, Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent.resolve()

version = {}
with open(os.path.join(HERE, "src", "acme_ranker", "version.py")) as handle:
    exec(handle.read(), version)

exec(compile(open("src/acme_ranker/version.py").read(), "version.py", "exec"))


def find_version():
    text = (HERE / "src/acme_ranker/version.py").read_text()
    return re.search(r'__version__ = "([^"]+)"', text).group(1)


def git_sha():
    try:
        return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=HERE).decode("ascii").strip()
    except (subprocess.CalledProcessError, OSError):
        return "unknown"


class CMakeBuild(build_ext):
    def build_extension(self, ext):
        subprocess.run(["make"], check=True)
        args = ["cmake", f"-DPYTHON_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
        if os.environ.get("CUDA_HOME"):
            args.append("-DUSE_CUDA=ON")
        subprocess.check_call(args + [ext.sourcedir], cwd=self.build_temp, env=dict(os.environ, CXXFLAGS="-O3"))
        subprocess.check_call(["cmake", "--build", "."] + self.build_args(), cwd=self.build_temp)


class Clean(Command):
    user_options = []

    def run(self):
        os.system("rm -vrf ./build ./dist ./*.egg-info")
        subprocess.run("find . -name '*.so' -delete", shell=True)


class Upload(Command):
    user_options = []

    def run(self):
        os.system(f"{sys.executable} setup.py sdist bdist_wheel --universal")
        os.system("twine upload dist/*")
        os.system(f"git tag v{version['__version__']}")
        sys.exit()


setup(
    name="acme-ranker",
    version=find_version(),
    packages=find_packages("src"),
    package_dir={"": "src"},
    ext_modules=[Extension("acme_ranker._ops", ["src/ops.cpp"])],
    cmdclass={"build_ext": CMakeBuild, "clean": Clean, "upload": Upload},
    install_requires=["torch>=2.1", "numpy"],
)
