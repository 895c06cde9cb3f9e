//! What rules and command lines are made of.

use super::Dice;

/// Programs that benign events run most of the time.
pub const APPS: [&str; 28] = [
    "chrome.exe", "msedge.exe", "svchost.exe", "explorer.exe", "Teams.exe", "OneDrive.exe", "outlook.exe", "excel.exe",
    "Code.exe", "node.exe", "python.exe", "git.exe", "conhost.exe", "RuntimeBroker.exe", "SearchIndexer.exe",
    "taskhostw.exe", "dllhost.exe", "WmiPrvSE.exe", "MsMpEng.exe", "spoolsv.exe", "services.exe", "lsass.exe",
    "backgroundTaskHost.exe", "updater.exe", "java.exe", "docker.exe", "slack.exe", "zoom.exe",
];
/// Programs that rules are about.
pub const TOOLS: [&str; 60] = [
    "powershell.exe", "pwsh.exe", "cmd.exe", "rundll32.exe", "regsvr32.exe", "mshta.exe", "wscript.exe", "cscript.exe",
    "certutil.exe", "bitsadmin.exe", "schtasks.exe", "reg.exe", "net.exe", "net1.exe", "sc.exe", "wmic.exe", "msiexec.exe",
    "vssadmin.exe", "wbadmin.exe", "bcdedit.exe", "nltest.exe", "whoami.exe", "tasklist.exe", "taskkill.exe", "curl.exe",
    "wget.exe", "ssh.exe", "scp.exe", "netsh.exe", "ntdsutil.exe", "procdump.exe", "psexec.exe", "installutil.exe",
    "msbuild.exe", "cmstp.exe", "forfiles.exe", "hh.exe", "ieexec.exe", "mavinject.exe", "odbcconf.exe", "regasm.exe",
    "regsvcs.exe", "control.exe", "dnscmd.exe", "esentutl.exe", "expand.exe", "extrac32.exe", "findstr.exe", "ftp.exe",
    "gpresult.exe", "makecab.exe", "nslookup.exe", "pcalua.exe", "print.exe", "replace.exe", "rpcping.exe", "sdbinst.exe",
    "wusa.exe", "xwizard.exe", "python.exe",
];
pub const FLAGS: [&str; 40] = [
    " -enc", " -nop", " -w hidden", " /c ", " /create", " /delete", " /query", " -urlcache", " -decode", " -encode", " /transfer",
    " add ", " delete ", " stop ", " start ", " config ", " export ", " save ", " user ", " group ", " localgroup ", "http://",
    "https://", "process call create", "shadowcopy", "delete shadows", "javascript:", "vbscript:", "scrobj.dll", " -accepteula",
    "FromBase64String", "DownloadString", "DownloadFile", "Invoke-Expression", "IEX", "Start-Process", "New-Object", ".ps1", ".vbs",
    "-exec bypass",
];
pub const FOLDERS: [&str; 24] = [
    "C:\\Windows\\System32\\", "C:\\Windows\\SysWOW64\\", "C:\\Program Files\\", "C:\\Program Files (x86)\\", "\\AppData\\Local\\Temp\\",
    "\\AppData\\Roaming\\", "C:\\Users\\Public\\", "C:\\ProgramData\\", "\\Downloads\\", "\\Desktop\\", "C:\\Windows\\Temp\\", "\\Perflogs\\",
    "\\Microsoft\\Windows\\Start Menu\\", "\\Tasks\\", "\\Content.Outlook\\", "\\Temporary Internet Files\\", "\\inetpub\\wwwroot\\",
    "\\Microsoft\\Teams\\", "\\Google\\Chrome\\Application\\", "\\Mozilla Firefox\\", "\\WindowsApps\\", "\\$Recycle.Bin\\", "\\Contacts\\", "\\Favorites\\",
];
const SYLLABLES: [&str; 48] = [
    "ba", "cor", "dex", "el", "fin", "gor", "hol", "in", "jax", "kra", "lum", "mor", "nex", "oph", "pra", "quil", "ras", "sol", "tor",
    "ul", "vex", "wil", "xan", "yor", "zan", "mimi", "katz", "shell", "hound", "pipe", "dump", "spray", "roast", "ticket", "relay",
    "proxy", "tunnel", "load", "inject", "hook", "steal", "cred", "pass", "hash", "agent", "beacon", "cobalt", "sliver",
];

/// A coined name, such as those of tools that few machines have.
pub fn coin(dice: &mut Dice) -> String {
    let mut word: String = (0..dice.between(2, 4)).map(|_| dice.pick(&SYLLABLES)).collect();
    if dice.percent(40)
        && let Some(first) = word.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    word
}

pub fn hex(dice: &mut Dice, digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789ABCDEF"[dice.below(16)])).collect()
}
