import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/** What programs over JDBC do: DatabaseMetaData as tools ask it, prepared statements, batches, fetch sizes. Prints `name: result` lines. */
public class Metadata {
    interface Question { Object ask() throws Exception; }

    static void show(String name, Question question) {
        try {
            System.out.println(name + ": " + question.ask());
        } catch (Exception error) {
            System.out.println(name + ": FAILED " + error.toString().replace('\n', ' '));
        }
    }

    /** The named columns of all rows, or how many rows there are. */
    static Object rows(ResultSet set, String... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        int count = 0;
        while (set.next()) {
            List<String> row = new ArrayList<>();
            for (String column : columns) row.add(set.getString(column));
            rows.add(String.join(" ", row));
            count++;
        }
        set.close();
        return columns.length == 0 ? count >= 0 ? "rows" : "" : rows;
    }

    public static void main(String[] arguments) throws Exception {
        Class.forName("org.postgresql.Driver");
        Connection connection = DriverManager.getConnection(arguments[0], "ann", "");
        DatabaseMetaData meta = connection.getMetaData();
        Statement plain = connection.createStatement();
        plain.execute("CREATE TABLE flights (id INT PRIMARY KEY, carrier TEXT, miles BIGINT, fare NUMERIC, at TIMESTAMPTZ, tags TEXT[])");
        plain.execute("CREATE MATERIALIZED VIEW carriers AS SELECT carrier, count(*) AS n, sum(fare) AS fares FROM flights GROUP BY carrier");
        plain.execute("CREATE VIEW long_flights AS SELECT * FROM flights WHERE miles > 1000");

        show("product", () -> meta.getDatabaseProductName());
        show("catalogs", () -> rows(meta.getCatalogs(), "TABLE_CAT"));
        show("schemas", () -> rows(meta.getSchemas(), "TABLE_SCHEM").toString().contains("public"));
        show("table types", () -> rows(meta.getTableTypes()));
        show("tables", () -> rows(meta.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME"));
        show("views", () -> rows(meta.getTables(null, "public", "%", new String[] {"VIEW", "MATERIALIZED VIEW"}), "TABLE_NAME", "TABLE_TYPE"));
        show("columns", () -> rows(meta.getColumns(null, "public", "flights", "%"), "COLUMN_NAME", "TYPE_NAME", "NULLABLE"));
        show("columns of a view", () -> rows(meta.getColumns(null, "public", "carriers", null), "COLUMN_NAME", "DATA_TYPE"));
        show("primary key", () -> rows(meta.getPrimaryKeys(null, "public", "flights"), "COLUMN_NAME", "KEY_SEQ"));
        show("index", () -> rows(meta.getIndexInfo(null, "public", "flights", false, false), "COLUMN_NAME", "NON_UNIQUE"));
        show("best row", () -> rows(meta.getBestRowIdentifier(null, "public", "flights", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME"));
        show("imported keys", () -> rows(meta.getImportedKeys(null, "public", "flights"), "PKTABLE_NAME"));
        show("exported keys", () -> rows(meta.getExportedKeys(null, "public", "flights"), "FKTABLE_NAME"));
        show("cross reference", () -> rows(meta.getCrossReference(null, "public", "flights", null, "public", "flights")));
        show("types", () -> rows(meta.getTypeInfo()));
        show("functions", () -> rows(meta.getFunctions(null, "public", "%")));
        show("function columns", () -> rows(meta.getFunctionColumns(null, "public", "%", "%")));
        show("procedures", () -> rows(meta.getProcedures(null, "public", "%")));
        show("privileges", () -> rows(meta.getTablePrivileges(null, "public", "flights")));
        show("column privileges", () -> rows(meta.getColumnPrivileges(null, "public", "flights", "%")));
        show("user types", () -> rows(meta.getUDTs(null, "public", "%", null)));
        show("client info", () -> rows(meta.getClientInfoProperties()));
        show("key words", () -> meta.getSQLKeywords().length() > 100);
        show("longest name", () -> meta.getMaxTableNameLength());

        show("batch", () -> {
            PreparedStatement insert = connection.prepareStatement("INSERT INTO flights VALUES (?, ?, ?, ?, ?, ?)");
            for (int n = 0; n < 50; n++) {
                insert.setInt(1, n);
                insert.setString(2, "c" + n % 3);
                insert.setLong(3, 100L * n);
                insert.setBigDecimal(4, new BigDecimal("10.25").add(new BigDecimal(n)));
                insert.setTimestamp(5, Timestamp.valueOf("2026-01-01 00:00:00"));
                insert.setArray(6, connection.createArrayOf("text", new String[] {"a" + n, null}));
                insert.addBatch();
            }
            int sum = Arrays.stream(insert.executeBatch()).sum();
            insert.close();
            plain.execute("FLUSH");
            return sum;
        });
        // The driver prepares on the server, and asks for binary results, from the fifth time on.
        show("prepared", () -> {
            PreparedStatement select = connection.prepareStatement("SELECT carrier, miles, fare, at, tags FROM flights WHERE id = ?");
            String last = "";
            for (int n = 0; n < 12; n++) {
                select.setInt(1, n);
                ResultSet set = select.executeQuery();
                set.next();
                last = set.getString(1) + " " + set.getLong(2) + " " + set.getBigDecimal(3) + " " + set.getTimestamp(4).getTime() + " "
                    + Arrays.toString((Object[]) set.getArray(5).getArray());
                set.close();
            }
            select.close();
            return last;
        });
        show("fetch size", () -> {
            connection.setAutoCommit(false);
            Statement paged = connection.createStatement();
            paged.setFetchSize(7);
            ResultSet set = paged.executeQuery("SELECT id FROM flights ORDER BY id");
            int sum = 0;
            while (set.next()) sum += set.getInt(1);
            connection.commit();
            connection.setAutoCommit(true);
            return sum;
        });
        show("rollback", () -> {
            connection.setAutoCommit(false);
            plain.executeUpdate("DELETE FROM flights");
            Savepoint point = connection.setSavepoint();
            plain.executeUpdate("INSERT INTO flights (id) VALUES (1000)");
            connection.rollback(point);
            connection.rollback();
            connection.setAutoCommit(true);
            ResultSet set = plain.executeQuery("SELECT count(*) FROM flights");
            set.next();
            return set.getInt(1);
        });
        show("result metadata", () -> {
            ResultSetMetaData of = plain.executeQuery("SELECT * FROM carriers").getMetaData();
            return of.getColumnName(1) + " " + of.getColumnTypeName(2) + " " + of.getColumnClassName(3);
        });
        show("generated keys", () -> {
            PreparedStatement insert = connection.prepareStatement(
                "INSERT INTO flights (id, carrier) VALUES (999, 'z')", Statement.RETURN_GENERATED_KEYS);
            insert.executeUpdate();
            return rows(insert.getGeneratedKeys(), "id", "carrier");
        });
        show("error", () -> {
            try {
                plain.executeUpdate("INSERT INTO flights (id) VALUES (999)");
                return "none";
            } catch (SQLException error) {
                return error.getSQLState();
            }
        });
        show("valid", () -> connection.isValid(5));
        show("timeout", () -> {
            plain.setQueryTimeout(1);
            plain.executeQuery("SELECT 1");
            plain.setQueryTimeout(0);
            return "kept";
        });
        connection.close();
    }
}
