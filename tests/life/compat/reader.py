"""Reads HAProxy's socket and table with programs that others wrote, and tells what they saw as JSON.

Arguments: the socket, a file with the table as HTTP told it, hatop's file if it is there.
"""

import csv
import importlib.machinery
import importlib.util
import json
import sys

from haproxyadmin import haproxy

SERVER = ["scur", "stot", "econ", "act", "bck", "lastchg", "lbtot", "weight"]
BACKEND = ["qcur", "scur", "stot", "bin", "bout", "econ", "wredis", "act", "bck", "lbtot"]
FRONTEND = ["scur", "slim", "stot", "bin", "bout"]


def server(it):
    told = {name: it.metric(name) for name in SERVER}
    told.update(status=it.status, address=it.address, port=it.port, check=it.check_status)
    return told


def by_haproxyadmin(path):
    """PyPI's haproxyadmin, over the socket."""
    hap = haproxy.HAProxy(socket_file=path)
    frontends, backends = {}, {}
    for it in hap.frontends():
        frontends[it.name] = {name: it.metric(name) for name in FRONTEND}
        frontends[it.name]["status"] = it.status
    for it in hap.backends():
        told = {name: it.metric(name) for name in BACKEND}
        told.update(status=it.status, servers={s.name: server(s) for s in it.servers()})
        backends[it.name] = told
    return {"frontends": frontends, "backends": backends, "maxconn": hap.metric("Maxconn")}


def by_names(path):
    """A reader by the names of the columns, as Telegraf's input: numbers but for some words."""
    words = "pxname svname status check_status last_chk mode tracked addr cookie algo check_desc -".split()
    with open(path, newline="") as file:
        text = file.read()
    assert text.startswith("# ")
    rows = []
    for row in csv.DictReader(text[2:].splitlines()):
        told = {name: value for name, value in row.items() if name and value}
        rows.append({n: v if n in words else int(v) for n, v in told.items()})
    return rows


def by_hatop(path, program):
    """Debian's hatop, without its screen: its own connection with a prompt, and its own readers."""
    loader = importlib.machinery.SourceFileLoader("hatop", program)
    spec = importlib.util.spec_from_loader("hatop", loader)
    hatop = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(hatop)
    connection = hatop.Socket(path, True)
    connection.connect()
    data = hatop.SocketData(connection)
    data.update_info()
    data.update_stat()
    connection.close()
    rows = [row for proxy in data.stat.values() for row in proxy.values()]
    return {"info": data.info, "rows": rows}


seen = {"haproxyadmin": by_haproxyadmin(sys.argv[1]), "csv": by_names(sys.argv[2])}
if len(sys.argv) > 3:
    seen["hatop"] = by_hatop(sys.argv[1], sys.argv[3])
print(json.dumps(seen))
