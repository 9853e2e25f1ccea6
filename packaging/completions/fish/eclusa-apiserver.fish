# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_eclusa_apiserver_global_optspecs
    string join \n h/help V/version
end

function __fish_eclusa_apiserver_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_eclusa_apiserver_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_eclusa_apiserver_using_subcommand
    set -l cmd (__fish_eclusa_apiserver_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -s V -l version -d 'Print version'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "run" -d 'Balance, until a signal ends it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "check" -d 'Tell everything that is wrong with a file, and do nothing else'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "doctor" -d 'Look for what is wrong around the service, and tell the remedy'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "support-bundle" -d 'Write one file for who helps from afar, without secrets'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "import" -d 'Write a configuration from haproxy.cfg, and tell of every line what became of it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "observe" -d 'Judge the masters beside the HAProxy that carries the traffic, and carry nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "canary" -d 'Move a share of the new connections from where HAProxy listens to our listener, or show or undo that'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "reload" -d 'Put the changed configuration file in force, or change nothing and tell why'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "confirm" -d 'Keep what `reload --confirm` has put in force'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "rollback" -d 'Put in force again what was so before the last reload'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "events" -d 'Show the last 1000 events: verdicts, reloads, orders, limits, all but sessions'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "save" -d 'Write what was ordered at run time into the configuration file'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "status" -d 'Show pools, endpoints, verdicts, sessions, certificates'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "plan" -d 'Show what a reload would do now, and do nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "explain" -d 'Show where a connection or a request goes, and why'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "session" -d 'Look at sessions, or close them'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "endpoint" -d 'Take endpoints out, bring them back, weigh them'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "drill" -d 'Treat an endpoint for some seconds as if it failed, and tell what clients saw'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand run" -s c -l config -d 'The file; without it, and without --master, the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand run" -l master -d 'Instead of a file: a master, with or without a port; once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand run" -l listen -d 'With --master: an address to listen on (default: all, on port 6443); once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand run" -l no-keeper -d 'One process, without a keeper: a crash closes the listeners. For containers; with --master it is always so'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand check" -s c -l config -d 'The file; without it the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand check" -l offline -d 'Leave out what depends on this host: files, addresses, names'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand check" -s h -l help -d 'Print help'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -s c -l config -d 'The configuration file; without it the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l name -d 'A name or address that clients use, for certificates of masters; once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l apiserver -d 'Where else an apiserver may be, that an edge must not reach; once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l json -d 'The report as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l list -d 'Tell what is looked at, and look at nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l offline -d 'Ask no endpoint, and nobody else on the network'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -l migration -d 'Also tell what would bring HAProxy back, or break, once it is masked'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand support-bundle" -s c -l config -d 'The configuration file; without it the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand support-bundle" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand support-bundle" -s o -l output -d 'Where it is written; it must not be there yet. Without it a name with the time, here' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand support-bundle" -l offline -d 'Let `doctor` ask no endpoint'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand support-bundle" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -s o -l output -d 'Write the configuration to this file, which must not be there yet; without it to standard output' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l report -d 'How the report on standard error looks' -r -f -a "human\t'Line by line, for people'
json\t'One object, for programs'
source\t'haproxy.cfg itself, each line with a mark: = same, d default, + improved, - ignored, ! unsupported'"
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l keepalived -d 'keepalived.conf: find checks that name HAProxy or go through it, and write what takes their place' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l haproxy -d 'HAProxy, where it is not in PATH' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l requests -d 'How many requests are sent to each; of checks there is a round for each hundred, four at most' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l seed -d 'Another seed makes other traffic; the same makes the same' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -l check-live -d 'Write nothing: run HAProxy and the import side by side on loopback, and tell what differs'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand observe" -s c -l config -d 'The file; without it the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand observe" -l haproxy -d 'The HAProxy that carries the traffic: its stats socket, http://HOST:PORT/PATH;csv, or a file with its table' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand observe" -l for -d 'End after so long, such as 24h; without it at a signal' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand observe" -l json -d 'Lines of JSON'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand observe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -s c -l config -d 'The configuration file; without it the default file' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l take -d 'Where clients go and HAProxy listens; 0.0.0.0 or [::] for all addresses of this host. With one canary in force it need not be said again; `off` without it ends all' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l listener -d 'Which of our listeners gets them; without it the only one' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l for -d 'Go back after this time (90s, 10m, 2h; at most 30d). Without it after an hour' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l hold -d 'Stay, look at our service every second, and go back when it is not fit or this command ends'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l vip -d 'The address moves between hosts (keepalived), and may be on another one now'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l proxied -d 'Who connects sends a PROXY header, as HAProxy\'s `accept-proxy` expects'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l force -d 'Move connections although pools are not fine, and pass nothing else by'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -l json -d 'What is in force, as JSON'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand canary" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -l confirm -d 'Go back by itself unless `confirm` is said within this time (60s, 10m; at most 1d)' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -l force -d 'Pass the shrink guard by, and nothing else'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand confirm" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand confirm" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand confirm" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand confirm" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -l force -d 'Pass the shrink guard by, as with `reload`'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -l since -d 'Not those before: a time ago (10m, 2h) or a moment (2026-11-25T05:00:00Z)' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -l kind -d 'Of this kind alone (verdict, reloaded, admin, ...); once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -l limit -d 'The last so many' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -s f -l follow -d 'And those that come, until interrupted; with --json one object in each line'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand save" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand save" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand save" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand save" -l dry-run -d 'Show what would change, and write nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand save" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand status" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand status" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand status" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand status" -l watch -d 'Again every two seconds, until interrupted'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand plan" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand plan" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand plan" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l from -d 'The client\'s address; behind a proxy the one that its PROXY header names' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l listener -d 'The listener; may be left out where only one can be meant' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l port -d 'The port that the client connects to' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l sni -d 'The server name of its ClientHello; where TLS is terminated the host, if left out' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l host -d 'The host of its request' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l path -d 'The path, with or without a query' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l method -d 'The method (default: GET)' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l header -d 'A header field; once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l cookie -d 'A cookie; once for each' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -l offline -d 'Of the file alone, without a running program: all endpoints count as up'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and not __fish_seen_subcommand_from list show close help" -s h -l help -d 'Print help'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and not __fish_seen_subcommand_from list show close help" -f -a "list" -d 'List sessions, the oldest first'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and not __fish_seen_subcommand_from list show close help" -f -a "show" -d 'Show one session'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and not __fish_seen_subcommand_from list show close help" -f -a "close" -d 'Close sessions: those with these ids, or all that fulfil the options'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and not __fish_seen_subcommand_from list show close help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l pool -d 'Of this pool' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l endpoint -d 'On this endpoint' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l client -d 'Of clients with this address or in this network' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l limit -d 'At most so many, up to 10000' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l sort -d 'Which come first' -r -f -a "age\t'The oldest'
idle\t'Those without a byte for the longest time'
bytes\t'Those that carried most, both directions together'"
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from show" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from show" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from show" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -l pool -d 'Of this pool' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -l endpoint -d 'On this endpoint' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -l client -d 'Of clients with this address or in this network' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from close" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "list" -d 'List sessions, the oldest first'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one session'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "close" -d 'Close sessions: those with these ids, or all that fulfil the options'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand session; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -s h -l help -d 'Print help'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "drain" -d 'No new sessions; those that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "ready" -d 'Back into service, as far as its verdict lets it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "maint" -d 'Out of service: no new sessions, no probes; sessions that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "weight" -d 'Another share of new sessions than the file says'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "add" -d 'Endpoints that the file does not list, until it does'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "remove" -d 'An endpoint less, until the file does not list it either'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "reset" -d 'Back to what the file says, weight and all; what was added or removed stays so'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and not __fish_seen_subcommand_from drain ready maint weight add remove reset help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -l for -d 'For so long (90s, 30m, 2h, 7d), across restarts; without it until ordered otherwise' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -l reason -d 'Why, for those who see it in `status`' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -l force -d 'Even if that breaks the quorum of the masters, or leaves a pool without an endpoint'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from drain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from ready" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from ready" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from ready" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from ready" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -l for -d 'For so long (90s, 30m, 2h, 7d), across restarts; without it until ordered otherwise' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -l reason -d 'Why, for those who see it in `status`' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -l force -d 'Even if that breaks the quorum of the masters, or leaves a pool without an endpoint'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from maint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -l for -d 'For so long (90s, 30m, 2h, 7d), across restarts; without it until ordered otherwise' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -l reason -d 'Why, for those who see it in `status`' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from weight" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -l weight -d 'The share of each relative to the others, 1 to 256' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -l force -d 'Even if that breaks the quorum of the masters, or takes most of a pool'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from reset" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from reset" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from reset" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "drain" -d 'No new sessions; those that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "ready" -d 'Back into service, as far as its verdict lets it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "maint" -d 'Out of service: no new sessions, no probes; sessions that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "weight" -d 'Another share of new sessions than the file says'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "add" -d 'Endpoints that the file does not list, until it does'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "remove" -d 'An endpoint less, until the file does not list it either'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Back to what the file says, weight and all; what was added or removed stays so'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand endpoint; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -s h -l help -d 'Print help'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "freeze" -d 'Nothing comes back: as if its host had lost its power or its network'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "refuse" -d 'It refuses connections: as if its program had ended'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "slow" -d 'Connections to it, and its answers to probes, come later'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "stop" -d 'End the drill that is on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "show" -d 'Show the drill that is on, or the last one'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and not __fish_seen_subcommand_from freeze refuse slow stop show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -l for -d 'For so long: at most 60s' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from freeze" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -l for -d 'For so long: at most 60s' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from refuse" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -l for -d 'For so long: at most 60s' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -l by -d 'How much later (200ms, 2s; at most 10s)' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from slow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from stop" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from stop" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from stop" -l reason -d 'Why, for those who read the log' -r
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from stop" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from show" -s c -l config -d 'The configuration file of the program that runs; it may say where the socket is' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from show" -l socket -d 'The admin socket; without it where the configuration or the run directory has it' -r -F
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from show" -l json -d 'The answer as JSON, on standard output'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "freeze" -d 'Nothing comes back: as if its host had lost its power or its network'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "refuse" -d 'It refuses connections: as if its program had ended'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "slow" -d 'Connections to it, and its answers to probes, come later'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "stop" -d 'End the drill that is on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the drill that is on, or the last one'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand drill; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "run" -d 'Balance, until a signal ends it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "check" -d 'Tell everything that is wrong with a file, and do nothing else'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "doctor" -d 'Look for what is wrong around the service, and tell the remedy'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "support-bundle" -d 'Write one file for who helps from afar, without secrets'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "import" -d 'Write a configuration from haproxy.cfg, and tell of every line what became of it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "observe" -d 'Judge the masters beside the HAProxy that carries the traffic, and carry nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "canary" -d 'Move a share of the new connections from where HAProxy listens to our listener, or show or undo that'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "reload" -d 'Put the changed configuration file in force, or change nothing and tell why'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "confirm" -d 'Keep what `reload --confirm` has put in force'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "rollback" -d 'Put in force again what was so before the last reload'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "events" -d 'Show the last 1000 events: verdicts, reloads, orders, limits, all but sessions'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "save" -d 'Write what was ordered at run time into the configuration file'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "status" -d 'Show pools, endpoints, verdicts, sessions, certificates'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "plan" -d 'Show what a reload would do now, and do nothing'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "explain" -d 'Show where a connection or a request goes, and why'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "session" -d 'Look at sessions, or close them'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "endpoint" -d 'Take endpoints out, bring them back, weigh them'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "drill" -d 'Treat an endpoint for some seconds as if it failed, and tell what clients saw'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and not __fish_seen_subcommand_from run check doctor support-bundle import observe canary reload confirm rollback events save status plan explain session endpoint drill help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "list" -d 'List sessions, the oldest first'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "show" -d 'Show one session'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from session" -f -a "close" -d 'Close sessions: those with these ids, or all that fulfil the options'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "drain" -d 'No new sessions; those that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "ready" -d 'Back into service, as far as its verdict lets it'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "maint" -d 'Out of service: no new sessions, no probes; sessions that stand go on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "weight" -d 'Another share of new sessions than the file says'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "add" -d 'Endpoints that the file does not list, until it does'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "remove" -d 'An endpoint less, until the file does not list it either'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from endpoint" -f -a "reset" -d 'Back to what the file says, weight and all; what was added or removed stays so'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "freeze" -d 'Nothing comes back: as if its host had lost its power or its network'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "refuse" -d 'It refuses connections: as if its program had ended'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "slow" -d 'Connections to it, and its answers to probes, come later'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "stop" -d 'End the drill that is on'
complete -c eclusa-apiserver -n "__fish_eclusa_apiserver_using_subcommand help; and __fish_seen_subcommand_from drill" -f -a "show" -d 'Show the drill that is on, or the last one'
