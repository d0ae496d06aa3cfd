package import MartletColumns
internal import MartletCore
internal import MartletState

/// Passes on what all changes of a tick come to, each row with a weight of +1 or −1: the end of a changing view, so that
/// nobody sees a row that comes and goes within a tick.
package final class NetChanges: StatelessOperator {
    private var pending: [Batch] = []

    package init() {}

    package func process(_ batch: Batch, from input: Int, into output: any Output) {
        pending.append(batch)
    }

    package func flush(into output: any Output) {
        guard let net = Consolidation.net(pending) else {
            pending = []
            return
        }
        pending = []
        output.emit(Consolidation.repeated(net))
    }
}
