"""Many TCP connections at once: connections.py ADDRESS PORT COUNT. All are open before the first one
sends; each sends its own bytes several times, and must get them back. Prints how many did."""
import selectors
import socket
import sys

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ROUNDS = 3


def wanted(number, turn):
    return (b"%d.%d " % (number, turn)) * (50 + number % 100)


sockets = []
for number in range(count):
    connection = socket.create_connection((address, port), timeout=60)
    connection.setblocking(False)
    sockets.append(connection)
print("open: %d" % len(sockets), flush=True)

good = 0
for turn in range(ROUNDS):
    selector = selectors.DefaultSelector()
    left = {}
    for number, connection in enumerate(sockets):
        text = wanted(number, turn)
        assert connection.send(text) == len(text)
        left[connection] = text
        selector.register(connection, selectors.EVENT_READ)
    while left:
        ready = selector.select(60)
        if not ready:
            sys.exit("%d of %d wait in turn %d" % (len(left), count, turn))
        for key, _ in ready:
            connection = key.fileobj
            got = connection.recv(65536)
            rest = left[connection]
            if not got or not rest.startswith(got):
                sys.exit("connection %d got %r" % (sockets.index(connection), got[:40]))
            left[connection] = rest[len(got):]
            if not left[connection]:
                del left[connection]
                selector.unregister(connection)
                good += 1
for connection in sockets:
    connection.close()
print("answered: %d" % good)
