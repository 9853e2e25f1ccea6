# Autobahn's test suite (Python 2, with its packages in DIRECTORY).
#   suite.py DIRECTORY serve PORT       an echo server; says `ready`
#   suite.py DIRECTORY ask SPEC         its fuzzing client; the results go where SPEC says
import json, site, sys

site.addsitedir(sys.argv[1])

from twisted.internet import reactor

if sys.argv[2] == "serve":
    from autobahn.twisted.websocket import WebSocketServerFactory, listenWS
    from autobahntestsuite.testee import TesteeServerProtocol

    factory = WebSocketServerFactory("ws://localhost:" + sys.argv[3])
    factory.protocol = TesteeServerProtocol
    factory.setProtocolOptions(failByDrop=False)
    # Who asks through others asks for their port.
    factory.externalPort = None
    listenWS(factory)
    print("ready")
    sys.stdout.flush()
else:
    from autobahntestsuite.fuzzing import startClient

    startClient(json.load(open(sys.argv[3])))
reactor.run()
