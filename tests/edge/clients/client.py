# Python's client: what it reads of each answer.
import http.client, sys

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
http.client._MAXHEADERS = 1000
for number in range(count):
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", f"/{number}")
        answer = connection.getresponse()
        print(answer.status, len(answer.read()))
    except (http.client.HTTPException, OSError, ValueError, OverflowError):
        print("error")
    connection.close()
