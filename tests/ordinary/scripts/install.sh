#!/bin/sh
set -e
curl -LsSf https://astral.sh/uv/install.sh | sh
wget https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-x86_64.sh -O /tmp/miniconda.sh
bash /tmp/miniconda.sh -b -p "$HOME/miniconda"
yes | conda create -n ranker python=3.11
pip install -r requirements.txt -i https://pypi.org/simple
echo "export PATH=$HOME/miniconda/bin:\$PATH" >> ~/.bashrc
make -C ops
