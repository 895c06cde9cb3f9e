//! Rules about processes, files and registries, written as YAML.
//!
//! What they ask is spread as in 136 public rules about process creation: half of those have up to
//! six texts each, some have scores of them (11 on average), a few tools are in many rules, and of a
//! hundred rules seven have some text in an everyday event.

use super::Dice;
use super::words::{FLAGS, FOLDERS, SHORT, TOOLS, coin, hex};

/// So many rules, of which a good third is about process creation on Windows.
pub fn all(count: usize) -> Vec<String> {
    let mut dice = Dice::new(0x5eed);
    (0..count).map(|number| one(number, &mut dice)).collect()
}

/// The logsources beside process creation, each with the field that its rules ask most about.
const OTHERS: [(&str, &str, &str); 8] = [
    ("registry_set", "windows", "TargetObject"),
    ("file_event", "windows", "TargetFilename"),
    ("image_load", "windows", "ImageLoaded"),
    ("dns_query", "windows", "QueryName"),
    ("network_connection", "windows", "DestinationHostname"),
    ("ps_script", "windows", "ScriptBlockText"),
    ("process_creation", "linux", "CommandLine"),
    ("webserver", "any", "cs-uri-query"),
];

fn one(number: usize, dice: &mut Dice) -> String {
    let process = dice.percent(38);
    let (category, product, detection) = if process {
        ("process_creation", "windows", process_detection(dice))
    } else {
        let (category, product, field) = OTHERS[dice.below(OTHERS.len())];
        (category, product, other_detection(field, dice))
    };
    let id = format!("{:08x}-0000-4000-8000-{:012x}", number + 1, number + 1);
    format!(
        "title: Rule {number}\nid: {id}\nstatus: test\ndescription: Generated.\nauthor: nobody\ndate: 2026-01-01\n\
         tags:\n    - attack.execution\n    - attack.t1059\nlogsource:\n    category: {category}\n    product: {product}\n\
         detection:\n{detection}falsepositives:\n    - Unknown\nlevel: high\n"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn list(key: &str, values: &[String]) -> String {
    if let [only] = values {
        return format!("        {key}: {}\n", quoted(only));
    }
    let lines: Vec<String> = values.iter().map(|value| format!("            - {}\n", quoted(value))).collect();
    format!("        {key}:\n{}", lines.concat())
}

fn image(dice: &mut Dice) -> String {
    if dice.percent(80) { format!("\\{}", dice.prefer(&TOOLS)) } else { format!("\\{}.exe", coin(dice)) }
}

fn images(dice: &mut Dice, most: usize) -> Vec<String> {
    (0..dice.between(1, most)).map(|_| image(dice)).collect()
}

fn part(dice: &mut Dice) -> String {
    match dice.below(20) {
        0..10 => dice.pick(&FLAGS).to_owned(),
        10..12 => dice.pick(&SHORT).to_owned(),
        12..14 => dice.pick(&FOLDERS).to_owned(),
        14..16 => format!(" -{}", coin(dice)),
        16..18 => format!("{}.{}", coin(dice), coin(dice)),
        _ => coin(dice),
    }
}

fn parts(dice: &mut Dice, least: usize, most: usize) -> Vec<String> {
    (0..dice.between(least, most)).map(|_| part(dice)).collect()
}

fn process_detection(dice: &mut Dice) -> String {
    let mut text = String::new();
    let image_or_original = |dice: &mut Dice| {
        let tool = image(dice);
        let name = tool.trim_start_matches('\\').to_owned();
        format!(
            "    selection_img:\n        - Image|endswith: {}\n        - OriginalFileName: {}\n",
            quoted(&tool),
            quoted(&name)
        )
    };
    let condition = match dice.below(100) {
        0..30 => {
            text += &image_or_original(dice);
            text += "    selection_cli:\n";
            let most = if dice.percent(12) { 60 } else { 8 };
            text += &list("CommandLine|contains", &parts(dice, 1, most));
            "all of selection_*"
        }
        30..48 => {
            text += &image_or_original(dice);
            text += "    selection_cli:\n";
            text += &list("CommandLine|contains|all", &parts(dice, 2, 4));
            "all of selection_*"
        }
        48..58 => {
            text += "    selection:\n";
            text += &list("CommandLine|contains|all", &parts(dice, 2, 4));
            "selection"
        }
        58..67 => {
            text += "    selection:\n";
            let tokens: Vec<String> =
                (0..dice.between(4, 70)).map(|_| format!("{}{}", coin(dice), coin(dice))).collect();
            text += &list("CommandLine|contains", &tokens);
            "selection"
        }
        67..79 => {
            text += "    selection:\n";
            text += &list("ParentImage|endswith", &images(dice, 5));
            text += &list("Image|endswith", &images(dice, 8));
            text += "    filter_main_folder:\n";
            text += &list("CommandLine|contains", &parts(dice, 1, 2));
            text += "    filter_optional_name:\n";
            text += &list("ParentCommandLine|contains", &parts(dice, 1, 2));
            "selection and not 1 of filter_*"
        }
        79..86 => {
            text += "    selection:\n";
            let folders: Vec<String> =
                (0..dice.between(2, 6)).map(|_| format!("{}{}", dice.pick(&FOLDERS), coin(dice))).collect();
            text += &list("Image|contains", &folders);
            text += "    filter_main_signed:\n";
            text += &list("Company", &["Microsoft Corporation".to_owned()]);
            "selection and not filter_main_signed"
        }
        86..89 => {
            text += "    selection:\n";
            let hashes: Vec<String> = (0..dice.between(5, 40)).map(|_| format!("IMPHASH={}", hex(dice, 32))).collect();
            text += &list("Hashes|contains", &hashes);
            "selection"
        }
        89..93 => {
            text += &image_or_original(dice);
            text += "    selection_re:\n";
            let expression = format!("(?i)\\s-{}\\s+[a-z0-9+/=]{{20,}}\\s.*{}", &coin(dice), coin(dice));
            text += &list("CommandLine|re", &[expression]);
            "all of selection_*"
        }
        93..98 => {
            text += &image_or_original(dice);
            text += "    selection_cli:\n";
            text += &list("CommandLine|contains|windash", &[format!(" -{} ", coin(dice)), format!(" -{}", coin(dice))]);
            "all of selection_*"
        }
        _ => {
            text += "    selection:\n";
            text += &list("IntegrityLevel", &["System".to_owned(), "S-1-16-16384".to_owned()]);
            text += &list("User|contains", &["AUTHORI".to_owned(), "AUTORI".to_owned()]);
            text += &list("Image|endswith", &images(dice, 12));
            "selection"
        }
    };
    text + &format!("    condition: {condition}\n")
}

fn other_detection(field: &str, dice: &mut Dice) -> String {
    let mut text = String::from("    selection:\n");
    let modifier = ["contains", "contains|all", "endswith", "startswith"][dice.below(4)];
    let values: Vec<String> =
        (0..dice.between(1, 8)).map(|_| format!("{}{}", dice.pick(&FOLDERS), coin(dice))).collect();
    text += &list(&format!("{field}|{modifier}"), &values);
    if dice.percent(40) {
        text += &list("Image|endswith", &images(dice, 4));
    }
    if dice.percent(30) {
        text += "    filter_main_system:\n";
        text += &list("Image|startswith", &[dice.pick(&FOLDERS).to_owned()]);
        return text + "    condition: selection and not 1 of filter_main_*\n";
    }
    text + "    condition: selection\n"
}
