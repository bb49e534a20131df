import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** Does with jTDS what applications do with it: HOST PORT USER DATABASE, the password in TDS_PASSWORD. Prints ok at the end. */
public class UseJTDS {
    static void check(boolean ok, String what) {
        if (!ok) {
            throw new AssertionError(what);
        }
    }

    interface Work {
        void run() throws SQLException;
    }

    static void fails(int number, Work w) throws SQLException {
        try {
            w.run();
        } catch (SQLException e) {
            check(e.getErrorCode() == number, number + " is wanted: " + e);
            return;
        }
        throw new AssertionError("no error; want " + number);
    }

    static int one(Statement st, String text) throws SQLException {
        try (ResultSet rs = st.executeQuery(text)) {
            check(rs.next(), text);
            return rs.getInt(1);
        }
    }

    public static void main(String[] args) throws Exception {
        Class.forName("net.sourceforge.jtds.jdbc.Driver");
        for (String version : new String[] {"8.0", "7.0"}) {
            for (int prepare = 0; prepare <= 3; prepare++) {
                if (version.equals("7.0") && prepare > 0) {
                    continue;
                }
                use(args, version, prepare);
            }
        }
        System.out.println("ok");
    }

    /** prepare is jTDS's prepareSQL: 0 none, 1 temporary procedures, 2 sp_executesql, 3 sp_prepare. */
    static void use(String[] args, String version, int prepare) throws Exception {
        Properties p = new Properties();
        p.setProperty("user", args[2]);
        p.setProperty("password", System.getenv("TDS_PASSWORD"));
        p.setProperty("TDS", version);
        p.setProperty("prepareSQL", String.valueOf(prepare));
        p.setProperty("ssl", "off");
        p.setProperty("loginTimeout", "20");
        try (Connection c = DriverManager.getConnection("jdbc:jtds:sqlserver://" + args[0] + ":" + args[1] + "/" + args[3], p);
                Statement st = c.createStatement()) {
            try (ResultSet rs = st.executeQuery("SELECT c_int, c_nvarchar, c_decimal, c_text, c_bit FROM dbo.alltypes WHERE id = 1")) {
                check(rs.next() && rs.getInt(1) == Integer.MAX_VALUE, "int");
                check(rs.getString(2).equals("nvarchar 水𝄞"), "nvarchar");
                check(rs.getBigDecimal(3).toPlainString().equals("-1234567890.1234"), "decimal");
                check(rs.getString(4).equals("text é") && rs.getBoolean(5), "text, bit");
            }
            try (PreparedStatement ps = c.prepareStatement("SELECT ? , ?")) {
                for (int i = 0; i < 4; i++) {
                    ps.setInt(1, i);
                    ps.setString(2, "süß" + i);
                    try (ResultSet rs = ps.executeQuery()) {
                        check(rs.next() && rs.getInt(1) == i && rs.getString(2).equals("süß" + i), "parameters");
                    }
                }
            }
            st.execute("CREATE TABLE dbo.j (id int IDENTITY, s varchar(20) UNIQUE)");
            c.setAutoCommit(false);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            check(st.executeUpdate("INSERT INTO dbo.j (s) VALUES ('a')") == 1, "count");
            c.rollback();
            check(one(st, "SELECT COUNT(*) FROM dbo.j") == 0, "rolled back");
            st.executeUpdate("INSERT INTO dbo.j (s) VALUES ('b')", Statement.RETURN_GENERATED_KEYS);
            try (ResultSet rs = st.getGeneratedKeys()) {
                check(rs.next() && rs.getInt(1) == 2, "identity");
            }
            c.commit();
            c.setAutoCommit(true);
            check(one(st, "SELECT COUNT(*) FROM dbo.j") == 1, "committed");
            fails(2627, () -> st.executeUpdate("INSERT INTO dbo.j (s) VALUES ('b')"));
            fails(208, () -> st.executeQuery("SELECT * FROM nowhere"));
            fails(8134, () -> {
                try (ResultSet rs = st.executeQuery("SELECT 1/0")) {
                    rs.next();
                }
            });
            try (ResultSet rs = st.executeQuery("SELECT n FROM dbo.numbers(20000)")) {
                int n = 0;
                while (rs.next()) {
                    n++;
                    check(rs.getInt(1) == n, "numbers");
                }
                check(n == 20000, "all numbers");
            }
            try (Statement slow = c.createStatement()) {
                slow.setQueryTimeout(1);
                try {
                    slow.execute("WAITFOR DELAY '01:00:00'");
                    throw new AssertionError("an hour passed");
                } catch (SQLException e) {
                    check(e.getSQLState().equals("HYT00"), e.toString());
                }
            }
            check(one(st, "SELECT 7") == 7, "after the attention");
            st.execute("DROP TABLE dbo.j");
        }
    }
}
