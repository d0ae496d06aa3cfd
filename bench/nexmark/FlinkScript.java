import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a script of Flink SQL in this process, and prints how long its job ran by Flink's own count, without the start of
 * the JVM and of the local cluster: {"seconds": 12.345}. Arguments: the script, a folder for checkpoints.
 */
public final class FlinkScript {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", "2");
        configuration.setString("execution.checkpointing.interval", "1 s");
        configuration.setString("execution.checkpointing.storage", "filesystem");
        configuration.setString("execution.checkpointing.dir", Path.of(arguments[1]).toUri().toString());
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("table.local-time-zone", "UTC");
        TableEnvironment environment = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());

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
}
