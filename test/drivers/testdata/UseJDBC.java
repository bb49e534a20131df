import java.io.StringReader;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;

/** Uses PostgreSQL's JDBC driver through Forebay; the connection is in libpq's environment variables. */
public class UseJDBC {
  static Connection connect(String... more) throws SQLException {
    Map<String, String> env = System.getenv();
    Properties p = new Properties();
    p.setProperty("user", env.get("PGUSER"));
    p.setProperty("password", env.get("PGPASSWORD"));
    p.setProperty("sslmode", "disable");
    for (int i = 0; i + 1 < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
    return DriverManager.getConnection(
        "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE"), p);
  }

  static void check(Object got, Object want) {
    if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", want " + want);
  }

  static Object one(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getObject(1);
    }
  }

  static void fails(String state, Callable<?> f) throws Exception {
    try {
      f.call();
    } catch (SQLException e) {
      check(e.getSQLState(), state);
      return;
    }
    throw new AssertionError("no error " + state);
  }

  public static void main(String[] args) throws Exception {
    try (Connection c = connect()) {
      c.createStatement().execute("CREATE TABLE jdbc_item (id int PRIMARY KEY, name text)");

      // A batch, then COPY.
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("INSERT INTO jdbc_item VALUES (?, ?)")) {
        for (int i = 0; i < 1000; i++) {
          s.setInt(1, i);
          s.setString(2, "n" + i);
          s.addBatch();
        }
        check(s.executeBatch().length, 1000);
      }
      c.commit();
      check(c.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY jdbc_item FROM STDIN",
          new StringReader("1000\tcopied\n1001\tcopied\n")), 2L);
      c.commit();

      // A portal fetched in parts.
      try (PreparedStatement s = c.prepareStatement("SELECT id FROM jdbc_item ORDER BY id")) {
        s.setFetchSize(100);
        int n = 0;
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) check(r.getInt(1), n++);
        }
        check(n, 1002);
      }
      c.commit();

      // An error fails the transaction; a savepoint saves it.
      fails("22012", () -> one(c, "SELECT 1/0"));
      fails("25P02", () -> one(c, "SELECT 1"));
      c.rollback();
      c.createStatement().execute("UPDATE jdbc_item SET name = 'kept' WHERE id = 1");
      Savepoint p = c.setSavepoint();
      fails("22012", () -> one(c, "SELECT 1/0"));
      c.rollback(p);
      c.commit();
      check(one(c, "SELECT name FROM jdbc_item WHERE id = 1"), "kept");
      c.commit();
      c.setAutoCommit(true);

      // A statement that is cancelled, by its timeout.
      try (Statement s = c.createStatement()) {
        s.setQueryTimeout(1);
        fails("57014", () -> s.executeQuery("SELECT pg_sleep(60)"));
      }
      check(one(c, "SELECT 1"), 1);
    }

    // Named prepared statements from the first execution on, settings of each session's own, fewer server connections.
    ExecutorService pool = Executors.newFixedThreadPool(8);
    List<Future<Void>> all = new ArrayList<>();
    for (int t = 0; t < 8; t++) {
      String name = "jdbc-" + t;
      all.add(pool.submit(() -> {
        try (Connection c = connect("ApplicationName", name, "prepareThreshold", "1");
            PreparedStatement s = c.prepareStatement("SELECT name, current_setting('application_name') FROM jdbc_item WHERE id = ?")) {
          for (int i = 2; i < 60; i++) {
            s.setInt(1, i);
            try (ResultSet r = s.executeQuery()) {
              r.next();
              check(r.getString(1), "n" + i);
              check(r.getString(2), name);
            }
          }
        }
        return null;
      }));
    }
    for (Future<Void> f : all) f.get();
    pool.shutdown();

    try (Connection c = connect("sslmode", "require")) {
      check(one(c, "SELECT length(repeat('x', 1000000))"), 1000000);
    }
    System.out.println("ok");
  }
}
