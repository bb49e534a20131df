// Package compress is the compressed protocol of MySQL and MariaDB toward clients ("Compression" in the MySQL source code
// documentation): a layer under the plain protocol, of which the session below it knows nothing. New puts it around an
// engine.Session.
//
// Each side cuts its plain stream where it likes and puts the pieces into packets with a header and a number of their own.
// Compression begins behind the OK packet that ends the connection phase, and goes on through COM_CHANGE_USER.
//
// What clients make of the numbers, as far as known: libmysqlclient, PHP's mysqlnd and MySqlConnector take a compressed
// packet that is out of its turn for a broken connection; the others go on from the number that they see. None of the
// strict ones sends a command before the last one is answered. The numbers of the plain packets inside are no longer
// reliable: MariaDB's library numbers all parts of a long command 0, MySQL's goes on from the compressed number. The session
// below gives them the numbers that a server wants.
package compress
