"""A client as an orchestrator writes it: starts gocore as a worker, reads its events, prints status and cost.

Usage: spawn_worker.py TASK MODEL PROGRAM [ARGUMENT...]
"""

import json
import subprocess
import sys


def spawn_worker(task, model, program):
    command = [*program, "mini", "--headless", "--model", model, "--task", task, "--cost-limit", "5.0"]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    events = []
    for line in worker.stdout:
        event = json.loads(line.decode())
        events.append(event)
        data = event["data"]
        if event["type"] == "step":
            print(f"Step {data['step']}: {data['action'][:50]}")
        elif event["type"] == "error":
            print(f"Error: {data['error']}")
    complaints = worker.stderr.read().decode()
    worker.wait()
    return {
        "exit_code": worker.returncode,
        "complaints": complaints,
        "finish": next((event for event in events if event["type"] == "finish"), None),
        "cost": next((event for event in events if event["type"] == "cost"), None),
    }


worker = spawn_worker(sys.argv[1], sys.argv[2], sys.argv[3:])
print(worker["complaints"], end="", file=sys.stderr)
print(f"Status: {worker['finish']['data']['status']}")
print(f"Cost: ${worker['cost']['data']['total']:.4f}")
sys.exit(worker["exit_code"])
