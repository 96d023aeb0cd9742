"""The child process: serves a GGUF model on the loopback interface until its stdin is closed.

Run as ``python -m lm_eval_so.runner.backends.local.server``; the settings are one JSON line on
stdin, the address one line on stdout. Since a pipe closes with its last holder, the server goes
away with its parent, however that ends.
"""

import json
import os
import sys


def main() -> None:
    """Serves until stdin ends."""
    address_pipe = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what the engine prints is no answer
    settings = json.loads(sys.stdin.readline())

    # Threads that wait must sleep: those that spin, as is the default, make two runs at once on a
    # machine of two cores forty times slower. Read when the engine is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from xllamacpp import CommonParams, Server  # noqa: PLC0415 - prints while it loads

    params = CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["alias"]}
    params.n_parallel = settings["n_parallel"]
    params.n_ctx = settings["context_length"] * settings["n_parallel"]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cache_ram_mib = 0  # by default up to 8 GiB of past prompts
    params.verbosity = -1
    server = Server(params)
    try:
        print(server.listening_address, file=address_pipe, flush=True)
        sys.stdin.read()
    except BrokenPipeError:  # the parent went away before it read the address
        pass
    finally:
        os._exit(0)  # nothing is worth the time the engine takes to tidy up, if it ever ends


if __name__ == "__main__":
    main()
