import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a script of Flink SQL in this process, and prints how long its job ran by Flink's own count, without the start of
 * the JVM and of the local cluster: {"seconds": 12.345}. Argument: the script.
 */
public final class FlinkScript {
    public static void main(String[] arguments) throws Exception {
        TableEnvironment environment = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(forThroughput()).build());

        for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*\\n")) {
            if (statement.isBlank()) continue;
            TableResult result = environment.executeSql(statement);
            if (result.getJobClient().isPresent()) {
                long millis = result.getJobClient().get().getJobExecutionResult().get().getNetRuntime();
                System.out.println("{\"seconds\": " + millis / 1000.0 + "}");
            }
        }
        System.exit(0);
    }

    /**
     * What Flink's own documentation advises for throughput, but not table.optimizer.distinct-agg.split.enabled, which made
     * q15 and q16 slower on two cores. No checkpoints, as Martlet without a data directory makes none: Flink's files then
     * become visible when the input has ended.
     */
    private static Configuration forThroughput() {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", "2");
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("state.backend.type", "hashmap");
        configuration.setString("table.exec.mini-batch.enabled", "true");
        configuration.setString("table.exec.mini-batch.allow-latency", "2 s");
        configuration.setString("table.exec.mini-batch.size", "50000");
        configuration.setString("table.optimizer.agg-phase-strategy", "TWO_PHASE");
        configuration.setString("table.local-time-zone", "UTC");
        return configuration;
    }
}
