"""The peer of the benchmark, FastAPI under uvicorn: `fastapi_server.py ANSWERS.json LOG`; says its port on stdout."""

import asyncio
import json
import socket
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

with open(sys.argv[1], encoding="utf-8") as file:
    runs = json.load(file)
app = FastAPI()


@app.get("/health")
async def health():
    return {"ok": True}


@app.get("/api/runs")
async def list_runs():
    return {"runs": runs, "count": len(runs)}


@app.get("/api/events/stream")
async def stream():
    async def events():
        yield "event: snapshot\ndata: {}\n\n"
        with open(sys.argv[2], encoding="utf-8") as log:
            log.seek(0, 2)
            while True:
                line = log.readline()
                if line.endswith("\n"):
                    yield f"data: {line}\n"
                else:
                    await asyncio.sleep(0.01)

    return StreamingResponse(events(), media_type="text/event-stream")


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])
