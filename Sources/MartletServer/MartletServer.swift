/// MartletServer: what the process serves to others, over the listeners of `MartletPlatform`. Today the operational page
/// (`MetricsServer`); the wires and the HTTP API bind to log and engine here.
