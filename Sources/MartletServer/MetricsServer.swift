package import MartletCore
package import MartletPlatform

/// `GET /metrics` (Prometheus text 0.0.4) and `GET /healthz` on an address, for as long as it is not stopped.
package final class MetricsServer: Sendable {
    private let listener: HTTPListener

    /// Serves on return. `isHealthy` answers `/healthz`; called by the listener's thread, must not block.
    package init(
        _ address: ListenAddress, metrics: MetricsRegistry, isHealthy: @escaping @Sendable () -> Bool = { true }
    ) throws(ListenError) {
        let router = HTTPRouter([
            HTTPRouter.Route("GET", "/metrics") { _ in
                HTTPResponse(text: metrics.renderPrometheus(), type: "text/plain; version=0.0.4; charset=utf-8")
            },
            HTTPRouter.Route("GET", "/healthz") { _ in
                isHealthy() ? HTTPResponse(text: "ok\n") : HTTPResponse(status: 503, text: "not healthy\n")
            },
        ])
        listener = try HTTPListener(
            address, name: "metrics", limits: HTTPLimits(headerBytesMax: 16 << 10, bodyBytesMax: 4 << 10),
            handler: router.respond)
    }

    /// With the real port where 0 was asked for.
    package var address: ListenAddress { listener.address }

    package func stop() { listener.stop() }
}
