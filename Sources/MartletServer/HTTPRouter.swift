package import MartletPlatform

/// Finds who answers a request, by exact path and method. HEAD is answered as GET (the listener leaves out the body);
/// other methods of a known path get 405 with `Allow`, unknown paths 404.
package struct HTTPRouter: Sendable {
    package struct Route: Sendable {
        let method: String
        let path: String
        let respond: HTTPListener.Handler

        package init(_ method: String, _ path: String, respond: @escaping HTTPListener.Handler) {
            self.method = method
            self.path = path
            self.respond = respond
        }
    }

    private let routes: [Route]

    package init(_ routes: [Route]) { self.routes = routes }

    package func respond(_ request: HTTPRequest) -> HTTPResponse {
        let here = routes.filter { $0.path == request.path }
        guard !here.isEmpty else { return HTTPResponse(status: 404, text: "nothing at this path\n") }
        let method = request.method == "HEAD" ? "GET" : request.method
        if let route = here.first(where: { $0.method == method }) { return route.respond(request) }
        let allowed = here.flatMap { $0.method == "GET" ? ["GET", "HEAD"] : [$0.method] }.joined(separator: ", ")
        var response = HTTPResponse(status: 405, text: "this path takes \(allowed)\n")
        response.headers.append(("Allow", allowed))
        return response
    }
}
