import java.io.ByteArrayInputStream;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.mariadb.jdbc.MariaDbStatement;

/** Uses MariaDB's JDBC driver, and prints what it sees: the same through Forebay as directly. The connection is in the environment. */
public class UseMariaDB {
  static final Map<String, String> ENV = System.getenv();

  static Connection connect(String... more) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", ENV.get("DB_USER"));
    p.setProperty("password", ENV.get("DB_PASSWORD"));
    p.setProperty("allowPublicKeyRetrieval", "true"); // caching_sha2_password without TLS
    String database = ENV.get("DB_NAME");
    for (int i = 0; i + 1 < more.length; i += 2) {
      if (more[i].equals("database")) database = more[i + 1];
      else p.setProperty(more[i], more[i + 1]);
    }
    // The driver sends its first queries behind its log-in (usePipelineAuth), and gives their answers half a second, whatever
    // its other timeouts are: on a busy machine that is too short, directly too.
    for (int tries = 1;; tries++) {
      try {
        return DriverManager.getConnection("jdbc:mariadb://" + ENV.get("DB_HOST") + ":" + ENV.get("DB_PORT") + "/" + database, p);
      } catch (SQLException e) {
        Throwable cause = e;
        while (cause.getCause() != null) cause = cause.getCause();
        if (!(cause instanceof java.net.SocketTimeoutException) || tries == 5) throw e;
      }
    }
  }

  static void show(Object... values) {
    StringBuilder b = new StringBuilder();
    for (Object v : values) b.append(b.length() == 0 ? "" : " ").append(text(v));
    System.out.println(b);
  }

  static String text(Object v) {
    if (v instanceof byte[]) return "bytes " + ((byte[]) v).length + " " + Arrays.hashCode((byte[]) v);
    if (v instanceof int[]) return Arrays.toString((int[]) v);
    return String.valueOf(v);
  }

  static String rows(ResultSet r) throws SQLException {
    StringBuilder b = new StringBuilder();
    ResultSetMetaData m = r.getMetaData();
    for (int i = 1; i <= m.getColumnCount(); i++)
      b.append(i > 1 ? "|" : "").append(m.getColumnLabel(i)).append(' ').append(m.getColumnTypeName(i)).append(' ').append(m.getPrecision(i))
          .append(m.isNullable(i) == ResultSetMetaData.columnNoNulls ? " not null" : "");
    while (r.next()) {
      b.append("\n   ");
      for (int i = 1; i <= m.getColumnCount(); i++) b.append(' ').append(text(r.getObject(i)));
    }
    return b.toString();
  }

  static String warnings(SQLWarning w) {
    StringBuilder b = new StringBuilder();
    for (; w != null; w = w.getNextWarning()) b.append("\n    warning ").append(w.getErrorCode()).append(' ').append(w.getMessage());
    return b.toString();
  }

  static void failed(String what, SQLException e) {
    // The driver puts its connection's id in front.
    show(what, e.getClass().getSimpleName(), e.getErrorCode(), e.getSQLState(), e.getMessage().replaceAll("\\(conn=\\d+\\)", "(conn)").replaceAll("port=\\d+", "port").replaceAll("(?s)\nQuery is.*", ""));
    if (e instanceof BatchUpdateException) show("  counts", ((BatchUpdateException) e).getUpdateCounts());
  }

  /** Prints all results that a statement leaves. */
  static void results(String what, Statement s, boolean isRows) throws SQLException {
    for (int i = 0;; i++) {
      if (isRows) {
        try (ResultSet r = s.getResultSet()) {
          show(what, i, rows(r));
        }
      } else {
        int n = s.getUpdateCount();
        if (n == -1) break;
        show(what, i, "changed", n, s instanceof CallableStatement ? "" : rows(s.getGeneratedKeys()));
      }
      isRows = s.getMoreResults();
    }
    String w = warnings(s.getWarnings());
    if (!w.isEmpty()) show("  ", w);
  }

  static void run(Connection c, String sql, Object... values) throws SQLException {
    String what = sql.substring(0, Math.min(60, sql.length()));
    try {
      if (values.length == 0) {
        try (Statement s = c.createStatement()) {
          results(what, s, s.execute(sql, Statement.RETURN_GENERATED_KEYS));
        }
        return;
      }
      try (PreparedStatement s = c.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
        results(what, s, s.execute());
      }
    } catch (SQLException e) {
      failed(what, e);
    }
  }

  static Object one(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getObject(1);
    }
  }

  static void types(Connection c, boolean large) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("DROP TABLE IF EXISTS java_item");
    }
    run(c, "CREATE TABLE java_item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) UNIQUE, n BIGINT UNSIGNED, d DECIMAL(20, 5), f DOUBLE,"
        + " at DATETIME(6), day DATE, took TIME, b LONGBLOB, flag BIT(1), small TINYINT NOT NULL DEFAULT 7) CHARACTER SET utf8mb4");
    byte[] all = new byte[256];
    for (int i = 0; i < 256; i++) all[i] = (byte) i;
    run(c, "INSERT INTO java_item (name, n, d, f, at, day, took, b, flag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "it's \"ü€😀\\\n", 1L << 62,
        new BigDecimal("-12345678.12345"), 1.5e300, Timestamp.valueOf("2024-02-29 22:59:59.123456"), java.sql.Date.valueOf("1999-12-31"),
        Time.valueOf("23:00:05"), all, true);
    run(c, "INSERT INTO java_item (name, n, d) VALUES (?, ?, ?), (?, ?, ?)", "a", null, null, "b", 5, 1.5);
    run(c, "SELECT * FROM java_item WHERE id > ? ORDER BY id", 0);
    run(c, "SELECT * FROM java_item ORDER BY id");
    run(c, "SELECT ?, ?, ?", 1, "x", null);
    run(c, "UPDATE java_item SET n = ? WHERE n IS NULL", 6);
    run(c, "UPDATE java_item SET n = ? WHERE n = 6", 6);
    run(c, "SELECT LAST_INSERT_ID(), ROW_COUNT()");
    run(c, "INSERT INTO java_item (name) VALUES (?) ON DUPLICATE KEY UPDATE n = n + 1", "a");

    // Warnings and errors.
    run(c, "SELECT CAST('12abc' AS SIGNED)");
    run(c, "INSERT IGNORE INTO java_item (name, small) VALUES (?, ?)", "clipped", 1000);
    for (String sql : new String[] {"SELEC 1", "SELECT * FROM java_nothing", "INSERT INTO java_item (name) VALUES ('a')",
        "SIGNAL SQLSTATE '45123' SET MYSQL_ERRNO = 31000, MESSAGE_TEXT = 'mine'", "INSERT INTO java_item (name) VALUES (REPEAT('x', 101))",
        "SELECT 1 FROM mysql.user"}) run(c, sql);
    run(c, "SELECT * FROM java_nothing WHERE a = ?", 1);
    run(c, "INSERT INTO java_item (name) VALUES (?)", "a");

    // Transactions.
    c.setAutoCommit(false);
    run(c, "INSERT INTO java_item (name) VALUES (?)", "kept");
    c.commit();
    run(c, "INSERT INTO java_item (name) VALUES (?)", "lost");
    Savepoint p = c.setSavepoint("here");
    run(c, "UPDATE java_item SET n = 0");
    c.rollback(p);
    run(c, "SELECT COUNT(*), SUM(n = 0), @@in_transaction FROM java_item");
    c.rollback();
    c.setAutoCommit(true);
    run(c, "SELECT name, @@in_transaction, @@autocommit FROM java_item WHERE name IN ('kept', 'lost')");
    c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    c.setReadOnly(true);
    show("isolation", c.getTransactionIsolation(), one(c, "SELECT @@tx_isolation"), one(c, "SELECT @@tx_read_only"));
    c.setReadOnly(false);
    c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);

    // Batches, one of them with an error.
    try (PreparedStatement s = c.prepareStatement("INSERT INTO java_item (name, n) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
      for (int i = 0; i < 300; i++) {
        s.setString(1, "batch" + i);
        if (i % 7 == 0) s.setNull(2, Types.BIGINT);
        else s.setLong(2, i);
        s.addBatch();
      }
      show("batch", Arrays.stream(s.executeBatch()).distinct().toArray());
      for (int i = 298; i < 303; i++) {
        s.setString(1, "batch" + i);
        s.setLong(2, i);
        s.addBatch();
      }
      s.executeBatch();
    } catch (SQLException e) {
      failed("batch", e);
    }
    run(c, "SELECT COUNT(*), SUM(n), MAX(id) FROM java_item WHERE name LIKE ?", "batch%");
    try (Statement s = c.createStatement()) {
      s.addBatch("UPDATE java_item SET n = 1 WHERE name = 'batch1'");
      s.addBatch("DELETE FROM java_item WHERE name LIKE 'batch2%'");
      show("batch of texts", s.executeBatch());
    }

    // Rows in parts.
    try (PreparedStatement s = c.prepareStatement("SELECT id FROM java_item WHERE id > ? ORDER BY id")) {
      s.setFetchSize(10);
      s.setInt(1, 0);
      long sum = 0;
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) sum += r.getInt(1);
      }
      show("streamed", sum);
    }
    try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
        ResultSet r = s.executeQuery("SELECT id, name FROM java_item WHERE name = 'a'")) {
      r.next();
      r.updateString(2, "a2");
      r.updateRow();
    }
    run(c, "SELECT name FROM java_item WHERE name LIKE 'a%'");

    // State that lasts.
    run(c, "SET @mine = 'ab', @n = 5, time_zone = '+05:30', sql_mode = 'ANSI_QUOTES'");
    run(c, "SET @v = ?, @w = ?", "set", null);
    run(c, "SELECT @mine, @n, @v, @w, @@time_zone, @@sql_mode, FROM_UNIXTIME(0) + 0 WHERE 1 = ?", 1);
    run(c, "SET time_zone = DEFAULT, sql_mode = DEFAULT");
    c.setCatalog("information_schema");
    show("catalog", c.getCatalog(), one(c, "SELECT DATABASE()"));
    c.setCatalog(ENV.get("DB_NAME"));
    show("valid", c.isValid(5));

    if (!large) return;
    // Large values in both directions; one of them in pieces.
    byte[] big = new byte[17 << 20];
    for (int i = 0; i < big.length; i++) big[i] = (byte) (i * 31 + i / 1000);
    try (PreparedStatement s = c.prepareStatement("INSERT INTO java_item (name, b) VALUES (?, ?)")) {
      s.setString(1, "large");
      s.setBytes(2, big);
      show("large", s.executeUpdate());
      s.setString(1, "large in pieces");
      s.setBinaryStream(2, new ByteArrayInputStream(big));
      show("large", s.executeUpdate());
    }
    try (PreparedStatement s = c.prepareStatement("SELECT b, 'behind' FROM java_item WHERE name LIKE ?")) {
      s.setString(1, "large%");
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) show("large", Arrays.equals(r.getBytes(1), big), r.getString(2));
      }
    }
    run(c, "SELECT 1");
  }

  public static void main(String[] args) throws Exception {
    // The ways in which the driver can talk, one after the other.
    String[][] ways = {
      {}, {"useServerPrepStmts", "true"}, {"useServerPrepStmts", "true", "useBulkStmts", "true", "useCompression", "true"},
      {"rewriteBatchedStatements", "true", "useSSL", "true", "trustServerCertificate", "true"},
      {"useBatchMultiSend", "false", "useServerPrepStmts", "true", "cachePrepStmts", "false", "useSSL", "true", "trustServerCertificate", "true"},
    };
    for (String[] way : ways) {
      show("---", Arrays.toString(way));
      try (Connection c = connect(way)) {
        DatabaseMetaData m = c.getMetaData();
        show(m.getDatabaseProductName(), m.getDatabaseProductVersion());
        types(c, !Arrays.asList(way).contains("useSSL")); // they take long
      }
    }

    show("--- several results");
    try (Connection c = connect("allowMultiQueries", "true", "allowLocalInfile", "true")) {
      run(c, "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; UPDATE java_item SET n = 9 WHERE id = 1; SELECT n FROM java_item WHERE id = 1");
      run(c, "SELECT 1 AS a; SELECT * FROM java_nothing; SELECT 3");
      run(c, "CREATE OR REPLACE PROCEDURE java_two (IN a INT, OUT b INT, INOUT d INT) BEGIN SELECT a; SELECT a + 1, NULL AS x; SET b = a + 2; SET d = d * 2; END");
      for (int i = 0; i < 2; i++) {
        try (CallableStatement s = c.prepareCall("{CALL java_two(?, ?, ?)}")) {
          s.setInt(1, 5 + i);
          s.registerOutParameter(2, Types.INTEGER);
          s.setInt(3, 21);
          s.registerOutParameter(3, Types.INTEGER);
          results("call", s, s.execute());
          show("out", s.getInt(2), s.getInt(3));
        }
      }
      try (Statement s = c.createStatement()) {
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < 5000; i++) b.append(10000 + i).append('\t').append("loaded").append(i).append('\n');
        s.unwrap(MariaDbStatement.class).setLocalInfileInputStream(new ByteArrayInputStream(b.toString().getBytes()));
        show("file", s.executeUpdate("LOAD DATA LOCAL INFILE 'rows' INTO TABLE java_item (id, name)"));
      }
      run(c, "LOAD DATA LOCAL INFILE '/not/there' INTO TABLE java_item");
      run(c, "SELECT COUNT(*), MAX(id) FROM java_item WHERE name LIKE 'loaded%'");

      // What a timeout, and a cancel from another thread, leave.
      try (Statement s = c.createStatement()) {
        s.setQueryTimeout(1);
        s.execute("SELECT SLEEP(20)");
        show("timeout", "no error");
      } catch (SQLException e) {
        failed("timeout", e);
      }
      try (Statement s = c.createStatement()) {
        Thread t = new Thread(() -> {
          try {
            Thread.sleep(500);
            s.cancel();
          } catch (Exception e) {
            show("cancel", e);
          }
        });
        t.start();
        try {
          s.execute("SELECT COUNT(*) FROM java_item WHERE SLEEP(0.1) = 0");
          show("cancel", "no error");
        } catch (SQLException e) {
          failed("cancel", e);
        }
        t.join();
      }
      run(c, "SELECT 1");
    }

    show("--- what is refused");
    for (String[] more : new String[][] {{"password", "wrong"}, {"user", "nobody"}, {"database", "not_there"}}) {
      try (Connection c = connect(more)) {
        show("log-in", "no error");
      } catch (SQLException e) {
        failed("log-in " + more[0], e);
      }
    }

    // Many connections, each with a state of its own.
    ExecutorService pool = Executors.newFixedThreadPool(20, r -> {
      Thread t = new Thread(r);
      t.setDaemon(true); // an error ends the program
      return t;
    });
    List<Future<Void>> all = new ArrayList<>();
    CountDownLatch ready = new CountDownLatch(20);
    for (int t = 0; t < 20; t++) {
      final int i = t;
      all.add(pool.submit(() -> {
        Connection opened;
        try {
          opened = connect("useServerPrepStmts", i % 2 == 0 ? "true" : "false", "sessionVariables", "group_concat_max_len=" + (1000 + i));
        } finally {
          ready.countDown(); // who cannot connect keeps nobody waiting, and is heard of
        }
        try (Connection c = opened) {
          ready.await();
          try (Statement s = c.createStatement()) {
            s.execute("SET @mine = 'm" + i + "'");
          }
          c.setAutoCommit(i % 3 == 0);
          try (PreparedStatement state = c.prepareStatement("SELECT CONCAT_WS(' ', @mine, @@group_concat_max_len, @@autocommit + 0, ?)");
              PreparedStatement insert = c.prepareStatement("INSERT INTO java_item (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 0; n < 15; n++) {
              state.setInt(1, n);
              try (ResultSet r = state.executeQuery()) {
                r.next();
                String want = "m" + i + " " + (1000 + i) + " " + (i % 3 == 0 ? 1 : 0) + " " + n;
                if (!r.getString(1).equals(want)) throw new AssertionError(r.getString(1) + ", want " + want);
              }
              insert.setString(1, "w" + i + "-" + n);
              insert.executeUpdate();
              try (ResultSet r = insert.getGeneratedKeys()) {
                r.next();
                Object last = one(c, "SELECT LAST_INSERT_ID()");
                if (!r.getObject(1).toString().equals(last.toString())) throw new AssertionError(r.getObject(1) + ", " + last);
              }
              if (i % 3 != 0) c.commit();
            }
          }
        }
        return null;
      }));
    }
    for (Future<Void> f : all) f.get();
    pool.shutdown();
    try (Connection c = connect()) {
      run(c, "SELECT COUNT(*) FROM java_item WHERE name LIKE 'w%'");
    }
    System.out.println("ok");
  }
}
