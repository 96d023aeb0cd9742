"""Any API over HTTP, from config: ``backend=http``.

::

    options             what a person writes
    environment         url, headers and query -> a Connection, checked
    path                JMESPath, compiled once
    template            a tree with ``{{ expressions }}`` -> a tree of values
    context             what the expressions of a request can name
    body                a tree -> JSON, a form or multipart
    outgoing            a request -> body, headers, query
    session             the conversation that a bot keeps, told turn by turn
    token               a command that prints a token
    incoming            an answer -> what the paths look into
    fields              what stands beside the text: tokens, the model, ...
    answer              what the paths find -> ChatResponse, or an error
    stream              events -> one answer
    backend             all of it together
"""
