"""What the wires of providers share: how a question is asked and an answer read. It knows no one.

::

    wire                what a wire has: a body for a request, a reader for its answer
    ask                 one request through the transport, streamed or not
    stream              reads an answer as it comes; one subclass for each wire
    typed_events        the same for streams whose events say their type
    texts               the text of a content, in whatever form servers give it
    error_in_answer     an error that a 200 tells; one that says all is well is none
    cost                what an answer cost, as a server or a gateway reports it
    conversation        messages of Chat Completions, read to be written in another wire's way
    parameters          parameters of Chat Completions, likewise; what has no counterpart is told
    account             keys, addresses and headers from options and variables
    models              the models that a server says it has
    remedy              what a person can do about an error that ends a run
"""
