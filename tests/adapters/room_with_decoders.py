"""A process with two decoders, standing for the room: says their process ids and waits to be killed, idle or at an image that hangs."""

import sys
import threading
from pathlib import Path

from tests.adapters.failing_decoder import marked
from tests.examples.inference import Files

from radloop.inference.adapters.preparing import Decoders
from radloop.standards.package import IMAGENET

if __name__ == "__main__":
    files = Files()
    decoders = Decoders(files, 2, deadline_s=float(sys.argv[2]), module="tests.adapters.failing_decoder")
    decoders.start()
    if sys.argv[1] == "hang":
        threading.Thread(target=decoders.prepare, args=(files.put(marked("hang")).sha256, IMAGENET), daemon=True).start()
    children = Path(f"/proc/self/task/{threading.main_thread().native_id}/children")
    sys.stdout.write(children.read_text() + "\n")
    sys.stdout.flush()
    threading.Event().wait()
