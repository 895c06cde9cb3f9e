//! Process creations as Sysmon tells them: some 1.3 kB of JSON with 30 keys.

use super::Dice;
use super::words::{APPS, BENIGN, FLAGS, FOLDERS, TOOLS, coin, hex};

/// So many events, of which one in a hundred runs something that rules are about.
pub fn processes(count: usize) -> Vec<String> {
    let mut dice = Dice::new(0xe7e7);
    (0..count).map(|number| process(number, &mut dice)).collect()
}

fn process(number: usize, dice: &mut Dice) -> String {
    let odd = dice.percent(1);
    let name = if odd { dice.pick(&TOOLS) } else { dice.pick(&APPS) };
    let folder = ["C:\\Windows\\System32\\", "C:\\Program Files\\", "C:\\Program Files (x86)\\Vendor\\"][dice.below(3)];
    let image = format!("{folder}{name}");
    let arguments: Vec<String> = if odd {
        (0..dice.between(1, 4)).map(|_| format!("{} {}", dice.pick(&FLAGS), coin(dice))).collect()
    } else {
        (0..dice.between(2, 6)).map(|_| format!(" {}{}", dice.pick(&BENIGN), dice.below(100_000))).collect()
    };
    let arguments = arguments.concat();
    let parent = dice.pick(&APPS);
    let hashes =
        format!("SHA1={},MD5={},SHA256={},IMPHASH={}", hex(dice, 40), hex(dice, 32), hex(dice, 64), hex(dice, 32));
    let event = serde_json::json!({
        "EventID": 1, "Version": 5, "Level": 4, "Task": 1, "Opcode": 0, "Keywords": "0x8000000000000000",
        "Provider_Name": "Microsoft-Windows-Sysmon", "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventRecordID": number, "Computer": format!("WS-{:04}.corp.example", dice.below(4000)), "RuleName": "-",
        "UtcTime": "2026-11-21 07:59:01.337", "ProcessGuid": format!("{{0197231E-5645-6929-C410-{:012X}}}", number),
        "ProcessId": dice.below(60_000), "Image": image, "FileVersion": "10.0.26100.7019 (WinBuild.160101.0800)",
        "Description": "Host Process for Windows Services", "Product": "Microsoft® Windows® Operating System",
        "Company": if dice.percent(50) { "Microsoft Corporation" } else { "Vendor Incorporated" },
        "OriginalFileName": name, "CommandLine": format!("\"{image}\"{arguments}"),
        "CurrentDirectory": format!("C:\\Users\\user{}{}", dice.below(500), dice.pick(&FOLDERS)),
        "User": format!("CORP\\user{}", dice.below(500)), "LogonGuid": "{0197231E-B736-6923-B25C-3B0000000000}",
        "LogonId": "0x3b5cb2", "TerminalSessionId": 1,
        "IntegrityLevel": dice.pick(&["Medium", "High", "System", "Low"]), "Hashes": hashes,
        "ParentProcessId": dice.below(60_000), "ParentImage": format!("C:\\Windows\\{parent}"),
        "ParentCommandLine": format!("C:\\Windows\\{parent} -k netsvcs -p -s Schedule{}", dice.below(90)),
    });
    event.to_string()
}
