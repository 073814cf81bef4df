import sys

from mesh_worker import Call, Worker

worker = Worker(sys.argv[1])


@worker.skill("acme.shout", "1.0.0", takes={"type": "object", "required": ["text"]})
def shout(call: Call):
    """Says it in capitals."""
    return {"text": call.input["text"].upper()}


worker.run()
