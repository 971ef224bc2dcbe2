//! The plan for people.

use super::Plan;
use crate::fault::FaultKind;

/// The plan as text: what would be started, sent, injected and claimed.
pub(crate) fn describe(plan: &Plan) -> String {
    let mut lines = vec![format!("plan `{}`, seed {}, blast radius {}", plan.name, plan.seed, plan.radius())];
    for service in plan.topology.services.values() {
        let callees: Vec<&str> = plan.topology.callees(&service.name).collect();
        let arrow = if callees.is_empty() { String::new() } else { format!(" -> {}", callees.join(", ")) };
        let standby = if service.standby > 0 { format!(" ({} on standby)", service.standby) } else { String::new() };
        lines.push(format!("  start   {} x{}{standby}{arrow}", service.name, service.started_ids().count()));
    }
    if let Some(load) = &plan.load {
        let routes: Vec<&str> = load.routes().collect();
        lines.push(format!("  send    {} requests/s to {}", load.rate.last(), routes.join(", ")));
    }
    lines.extend(plan.steady_state.iter().map(|claim| format!("  steady  {claim}")));
    for injection in &plan.injections {
        let time = humantime::format_duration;
        let (fault, after, hold) = (injection.fault.describe(), time(injection.after), time(injection.hold));
        lines.push(format!("  inject  {fault}, after {after}, for {hold}, x{}", plan.repeat));
    }
    lines.extend(plan.hypotheses.iter().map(|claim| format!("  claim   {claim}")));
    lines.join("\n")
}
