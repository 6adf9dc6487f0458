#!/usr/bin/env bash
# Usage: build-tfjs-node.sh FOLDER. Puts @tensorflow/tfjs-node 4.22.0 into FOLDER without its install script: that downloads
# TensorFlow from where not every network reaches. Here the library is the one in the wheel of the same version on PyPI, and the
# addon is compiled from the sources in the npm package. Needs npm, python3 with pip and its shared library, g++, the headers of
# Node.js, unzip; 900 MB of disk. A second run does nothing.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
package=$folder/node_modules/@tensorflow/tfjs-node
addon=$package/lib/napi-v8/tfjs_binding.node
[ ! -e "$addon" ] || exit 0

lack() { echo "SKIP tfjs-node: $1"; exit 77; }
for tool in npm python3 g++ unzip; do command -v "$tool" >/dev/null || lack "$tool is not here"; done
[ "$(uname -sm)" = 'Linux x86_64' ] || lack "the wheel is for Linux on x86_64, this is $(uname -sm)"
headers=$(node -p "require('node:path').resolve(process.execPath, '../../include/node')")
[ -e "$headers/node_api.h" ] || lack "no headers of Node.js in $headers"
python=$(python3 -c 'import sysconfig as s, os; print(os.path.join(s.get_config_var("LIBDIR"), s.get_config_var("INSTSONAME") or ""))')
[ -f "$python" ] || lack "no shared library of python3 at $python"

cd "$folder"
echo 'tensorflow-cpu==2.9.1 --hash=sha256:6d12fa2baca92e507e0547567199c49659cb4a7fdbabcb6870c2c9e7382ac2bf' >wheel.txt
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --python-version 3.9 \
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --dest . --requirement wheel.txt || lack 'no PyPI'
unzip -q -o tensorflow_cpu-*.whl 'tensorflow/libtensorflow*' tensorflow/python/_pywrap_tensorflow_internal.so 'tensorflow/include/tensorflow/c/*' \
  'tensorflow/include/tensorflow/core/platform/*'
rm tensorflow_cpu-*.whl
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . @tensorflow/tfjs-node@4.22.0 || lack 'no npm registry'

mkdir -p "$(dirname "$addon")"
g++ -w -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 -I"$headers" -Itensorflow/include -I"$package" \
  "$package"/binding/tfjs_backend.cc "$package"/binding/tfjs_binding.cc -o "$addon.part" \
  tensorflow/python/_pywrap_tensorflow_internal.so tensorflow/libtensorflow_framework.so.2 "$python" \
  -Wl,--no-as-needed -Wl,--allow-shlib-undefined "-Wl,-rpath,$folder/tensorflow:$folder/tensorflow/python"
mv "$addon.part" "$addon"
