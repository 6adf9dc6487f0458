#!/usr/bin/env bash
# A whole market in one CI job: a sandbox, a customer, three trainers, one model that must be good enough and paid for.
#
#   examples/ci/market.sh                                         iris.csv, a few seconds
#   examples/ci/market.sh FOLDER                                  a folder with the usual MNIST file names
#   examples/ci/market.sh FILE.csv COLUMN JOB.json MIN_ACCURACY   your own
#
# NMKT is the command to run, by default the `nmkt` on the PATH: NMKT="node bin/nmkt.js" in a checkout.
set -euo pipefail

read -r -a nmkt <<<"${NMKT:-nmkt}"
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
price=100
if [ -d "${1:-}" ]; then
  data=("$1") job=$examples/jobs/mnist.json min_accuracy=0.93 price=300
else
  data=("${1:-$examples/iris.csv}" --label "${2:-species}")
  job=${3:-$examples/jobs/iris.json} min_accuracy=${4:-0.8}
fi

# Everything that is started here ends here, however the script ends; what the trainers said explains a failure.
work=$(mktemp -d)
stop() {
  local status=$? pids
  pids=$(jobs -p)
  if [ "$status" -ne 0 ]; then tail -n 5 "$work"/trainer-*.log >&2 2>/dev/null || true; fi
  # shellcheck disable=SC2086
  if [ -n "$pids" ]; then kill $pids 2>/dev/null || true; wait $pids 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

# A field of the JSON document on stdin.
field() { node -e 'process.stdout.write(String(JSON.parse(require("fs").readFileSync(0, "utf8"))[process.argv[1]]))' "$1"; }

# Shell 1: relay and wallets. The ready line comes through a pipe: no polling, no guessing how long to sleep.
mkfifo "$work/ready"
"${nmkt[@]}" sandbox --dir "$work/sb" --trainers 3 --json >"$work/ready" &
exec 3<"$work/ready"
read -r -t 60 ready <&3 || { echo "the sandbox did not start" >&2; exit 1; }
echo "sandbox: $ready"

# Shell 2: the customer publishes the encrypted dataset and posts the job.
customer=(--settings "$work/sb/customer.json" --home "$work/customer" --json)
"${nmkt[@]}" publish-dataset "${data[@]}" --shards 3 --job "$job" "${customer[@]}" >"$work/published.json"
job_id=$(field job <"$work/published.json")
echo "job: $job_id"

# Shell 3: three trainers, each with its own home and key.
trainers=()
for i in 1 2 3; do
  "${nmkt[@]}" serve-trainer --settings "$work/sb/trainer-$i.json" --home "$work/trainer-$i" \
    --price "$price" --once --timeout 10m --json >"$work/trainer-$i.ndjson" 2>"$work/trainer-$i.log" &
  trainers+=($!)
done

# Shell 2 again: award, aggregate, pay, verify, write the model. Exit 4 below the accuracy.
"${nmkt[@]}" collect-model "$job_id" --out "$work/model" --min-accuracy "$min_accuracy" --timeout 10m \
  "${customer[@]}" >"$work/collected.json"
for pid in "${trainers[@]}"; do wait "$pid"; done

# The customer's documents against the trainers' own words and against the preimages.
node - "$work" <<'CHECK'
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const assert = require('node:assert/strict');
const work = process.argv[2];
const read = (name) => readFileSync(`${work}/${name}`, 'utf8');
const model = JSON.parse(read('collected.json'));
const paid = [1, 2, 3].map((i) =>
  read(`trainer-${i}.ndjson`).trim().split('\n').map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'paid').reduce((sum, { amountMsat }) => sum + amountMsat, 0),
);
assert.equal(model.verified, true, 'the model does not follow from the events');
assert.deepEqual(model.trainers.map(({ paidMsat }) => paidMsat).sort(), [...paid].sort(), 'trainers saw other payments');
assert.equal(model.paidMsat, paid.reduce((sum, msat) => sum + msat, 0));
const payments = JSON.parse(read('model/provenance.json')).rounds.flatMap((round) => round.payments);
for (const { preimage, paymentHash } of payments)
  assert.equal(createHash('sha256').update(preimage, 'hex').digest('hex'), paymentHash, 'a payment without proof');
console.log(`accuracy ${model.metrics.accuracy} after ${model.rounds} rounds, ${payments.length} payments, ${model.paidMsat / 1000} sat`);
CHECK
