//! What the kernel has on its account: CPU time and memory.

/// CPU seconds of this process, or of its children that have ended, in ticks of 10 ms.
pub fn ticks(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let first = if children { 13 } else { 11 };
    let sum: f64 = fields[first..first + 2].iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    sum / 100.0
}

/// The most memory that a process has held so far: `self`, or its number. 0 of one that has ended.
pub fn peak_mib(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
