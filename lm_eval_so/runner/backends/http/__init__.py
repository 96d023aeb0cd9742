"""What all backends over HTTP share. It knows none of them.

A backend makes a `Connection`, opens a `Transport` and reads the body of each answer::

    environment         a URL, headers, proxies and certificates -> Connection
        address         what is wrong with an address
        header          what may be sent in a header; request ids
        proxy           which proxy the variables name
        tls             which certificates are trusted, and what a failed handshake means
    transport           Connection -> post, stream, get
        connector       the bound of a TLS handshake
        keep_alive      kept connections, and requests that are lost on one
        redirect        which redirects are followed, and the message for the others
        response_body   bounds, gzip, reading in pieces
        charset         other charsets -> UTF-8, which all that follows reads
        transport_errors    failures below HTTP -> errors of ours
    json_body           a body -> JSON, repaired where it is damaged
    web_page            an HTML page -> one sentence
    sse                 server-sent events
    numbers             numbers in headers and bodies
    error_response      a status, or an error object in a 200 -> errors of ours
        status          the class of each status
        error_body      the message in a body of any shape
        error_codes     an error code in a 200 -> a status
        error_words     context too long, content filter, spent quota: known by their words
        no_error        "errors" that say that there is none
        retry_after     the wait that a server asks for, in a header or a body
    limit_headers   the limits that a server's headers tell

Several servers for one model are a pool, which has the shape of a transport::

    pool            replicas -> post, stream, get: who is asked, and who is asked instead
        replica     what is known of one: in flight, latency, room, whether it is out
        affinity    the same beginning of a conversation goes to the same replica
        turn        one request on its way through the replicas
"""
