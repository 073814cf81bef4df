#!/bin/sh
# Installs what the peer checks need into a virtual environment: stock clients, none of ours.
#
#   tests/peers/install.sh DIR      # makes DIR and prints its python
#
# The peer checks are opt-in: they need a network and Python 3.10 or later.
set -eu
folder=${1:?the folder of the virtual environment is expected}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
    'grpcio>=1.70,<2' 'grpcio-reflection>=1.70,<2' 'grpcio-status>=1.70,<2' 'protobuf>=5,<8'
echo "$folder/bin/python"
