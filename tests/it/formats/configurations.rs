//! Configurations that have their loader build, import or run something.

use super::{ALARMING, list, report};
use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};

const DANGEROUS: &str = "artifact.config.dangerous_targets";
const REMOTE: &str = "artifact.remote_code";
const DANGERS: &str = "artifact.packaging.dangers";

/// A tar archive of small members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

fn nemo(config: &str) -> Vec<u8> {
    archive(&[("./model_config.yaml", config.as_bytes()), ("./model_weights.ckpt", &super::build::pickle_benign())])
}

#[test]
fn a_nemo_archive_names_what_its_loader_would_call() {
    let sample = nemo("target: nemo.collections.asr.Model\nencoder:\n  _target_: os.system\n  command: echo lanner\n");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &sample).expect("memory takes it");
    let packed = encoder.finish().expect("memory takes it");
    for bytes in [sample, packed] {
        let report = report(&bytes, "model.nemo");
        assert_eq!(list(&report, DANGEROUS), ["os.system"], "{:?}", report.facts);
        assert!(!report.facts.contains_key("artifact.extension_mismatch"));
    }
    let quiet = nemo(
        "name: x\nencoder:\n  _target_: nemo.collections.asr.modules.ConformerEncoder\n  d_model: 512\n\
         optim:\n  name: adamw\n  sched: {_target_: torch.optim.lr_scheduler.StepLR}\n\
         tokenizer: {dir: 'nemo:abc_tokenizer'}\npath: ${oc.env:HOME,/tmp}/x\nsteps: ${eval:'${a} * 2'}\n",
    );
    let quiet = report(&quiet, "model.nemo");
    assert_eq!(quiet.format, "nemo");
    assert!(ALARMING.iter().all(|path| !quiet.facts.contains_key(*path)), "{:?}", quiet.facts);
}

#[test]
fn targets_are_judged_by_what_they_call() {
    let config = |target: &str| report(format!("a:\n  _target_: \"{target}\"\n").as_bytes(), "config.yaml");
    for dangerous in [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "eval",
        "builtins.exec",
        "pickle.loads",
        "torch.load",
        "torch.hub.load",
        "pandas.read_pickle",
        "transformers.utils.os.popen",
        "nemo.core.config.hydra_runner.sys.modules",
        "torch.nn.modules.module.__builtins__",
        "lightning.pytorch.utilities.subprocess.run",
        "numpy.f2py.crackfortran.myeval",
        "hydra.utils.instantiate",
        "shutil.rmtree",
        "runpy.run_path",
        "ctypes.CDLL",
        "importlib.import_module",
    ] {
        assert_eq!(list(&config(dangerous), DANGEROUS), [dangerous]);
    }
    for vetted in [
        "torch.nn.Linear",
        "torch.optim.AdamW",
        "torch.nn.functional.relu",
        "torch.device",
        "transformers.AutoModel.from_pretrained",
        "pytorch_lightning.Trainer",
        "lightning.pytorch.loggers.TensorBoardLogger",
        "collections.OrderedDict",
        "pathlib.Path",
        "functools.partial",
        "sklearn.linear_model.LogisticRegression",
        "builtins.dict",
    ] {
        let report = config(vetted);
        assert!(list(&report, DANGEROUS).is_empty() && list(&report, REMOTE).is_empty(), "{:?}", report.facts);
        assert_eq!(list(&report, "artifact.config.targets"), [vetted]);
    }
    for unlisted in
        ["acme.models.Net", "src.data.DataModule", "wandb.init", "datasets.load_dataset", "builtins.getattr"]
    {
        let report = config(unlisted);
        assert_eq!(list(&report, REMOTE), [format!("_target_:{unlisted}")]);
        assert!(list(&report, DANGEROUS).is_empty(), "{unlisted}");
    }
}

#[test]
fn targets_are_found_wherever_they_are_written() {
    for (text, name) in [
        ("{\"a\": [{\"_target_\": \"os.system\"}]}", "config.json"),
        ("x: os\ny: system\na:\n  _target_: ${x}.${y}\n", "config.yaml"),
        ("a:\n  _target_: \"${oc.env:LANNER_NOT_SET,os.system}\"\n", "config.yaml"),
        ("a:\n  _target_: hydra.utils.get_method\n  path: os.system\n", "config.yaml"),
        ("model:\n  class_path: os.system\n  init_args: {command: echo lanner}\n", "config.yaml"),
        ("model:\n  target: os.system\n  params: {command: echo lanner}\n", "ldm.yaml"),
        ("model:\n  _component_: os.system\n", "recipe.yaml"),
        ("a: &x {_target_: os.system}\nb: *x\n", "hparams.yml"),
        ("a: 1\na: 2\nb:\n  _target_: os.system\n", "twice.yaml"),
    ] {
        assert_eq!(list(&report(text.as_bytes(), name), DANGEROUS), ["os.system"], "{text}");
    }
    for big in [true, false] {
        let text = "\u{feff}a:\n  _target_: os.system\n";
        let wide = text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        assert_eq!(list(&report(&wide.collect::<Vec<u8>>(), "config.yaml"), DANGEROUS), ["os.system"]);
    }
    let resolver = report(b"a: ${eval:'__import__(\"os\").getcwd()'}\nb: ['${shell:echo lanner}']\n", "config.yaml");
    assert_eq!(list(&resolver, "artifact.config.interpolations").len(), 2, "{:?}", resolver.facts);
    for quiet in [
        "model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params: {x: 1}\n",
        "model:\n  class_path: acme.Net\n",
        "a: hydra.utils.get_method\npath: os.system\n",
        "a: ${eval:'${b} * 2 + 1'}\nb: 3\nc: ${oc.env:HOME}\n",
        "a:\n  _target_: hydra.utils.get_class\n  path: torch.nn.ReLU\n",
    ] {
        let report = report(quiet.as_bytes(), "config.yaml");
        for path in [DANGEROUS, REMOTE, "artifact.config.interpolations"] {
            assert!(list(&report, path).is_empty(), "{quiet}: {:?}", report.facts);
        }
    }
    let loop_of_references = report(b"a: ${b}\nb: ${a}\nc: {_target_: '${a}${a}${b}'}\n", "config.yaml");
    assert_eq!(list(&loop_of_references, REMOTE).len(), 1);
}

#[test]
fn tags_that_build_objects_are_told_from_those_that_hold_data() {
    for text in [
        "a: !!python/object/apply:os.system ['echo lanner']\n",
        "a: !!python/object/new:subprocess.Popen [['echo', 'lanner']]\n",
        "a: !!python/name:os.system\n",
        "a: !!python/module:antigravity\n",
        "a: !!python/object:acme.Thing {x: 1}\n",
        "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:os.system ['echo lanner']\n",
        "a: !<tag:yaml.org,2002:python/object/apply:os.system> ['echo lanner']\n",
        "a: !!pyth%6fn/object/apply:os.system ['echo lanner']\n",
        "a: !ruby/object:Gem::Installer {i: x}\n",
        "a: !!javax.script.ScriptEngineManager []\n",
        "a: !!js/function 'function () { return 1 }'\n",
        "a: [\nb: !!python/object/apply:os.system ['echo lanner']\n",
    ] {
        assert_eq!(list(&report(text.as_bytes(), "config.yaml"), DANGERS), ["yaml_tag"], "{text}");
    }
    for text in [
        "a: !!python/tuple [1, 2]\nb: !!python/unicode x\n",
        "a: !!python/object:argparse.Namespace {x: 1}\n",
        "a: !!python/object/apply:collections.OrderedDict [[[a, 1]]]\n",
        "a: !!python/object/apply:pathlib.PosixPath [tmp]\n",
        "a: !!binary aGVsbG8=\nb: !ENV x\nc: !Ref y\n",
        "# never write !!python/object/apply:os.system here\na: 'or !!python/name:os.system here'\n",
    ] {
        assert!(list(&report(text.as_bytes(), "config.yaml"), DANGERS).is_empty(), "{text}");
    }
}

#[test]
fn a_tar_link_that_stays_inside_is_none_that_leaves() {
    let link = |kind: tar::EntryType, name: &str, target: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "a/here", ".").expect("memory takes it");
        header.set_entry_type(kind);
        builder.append_link(&mut header, name, target).expect("memory takes it");
        list(&report(&builder.into_inner().expect("memory takes it"), "a.tar"), "artifact.container.escapes")
    };
    for (kind, name, target) in [
        (Symlink, "a/x", "../../y"),
        (Symlink, "x", "/etc/passwd"),
        (Symlink, "x", ".."),
        (Symlink, "a/here/x", "../.."),
        (Symlink, "a/b/c/x", "../../here/../../y"),
        (Link, "x", "../y"),
        (Link, "x", "/etc/passwd"),
    ] {
        assert_eq!(link(kind, name, target), [format!("{name} -> {target}")]);
    }
    for (kind, name, target) in [(Symlink, "a/x", "../y"), (Symlink, "a/b/x", "../../c"), (Link, "x", "a/y")] {
        assert!(link(kind, name, target).is_empty(), "{name} -> {target}");
    }
}

#[test]
fn modes_that_give_rights_away_are_told_of_files_alone() {
    let with = |kind: tar::EntryType, mode: u32| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(0);
        builder.append_data(&mut header, "x", std::io::empty()).expect("memory takes it");
        list(&report(&builder.into_inner().expect("memory takes it"), "a.tar"), "artifact.container.escapes")
    };
    for (kind, mode, told) in [
        (Regular, 0o4755, "x (setuid)"),
        (Regular, 0o2755, "x (setuid)"),
        (Char, 0o644, "x (device)"),
        (Block, 0o644, "x (device)"),
        (Fifo, 0o644, "x (fifo)"),
    ] {
        assert_eq!(with(kind, mode), [told]);
    }
    assert!(with(Directory, 0o2755).is_empty() && with(Regular, 0o755).is_empty());
}
