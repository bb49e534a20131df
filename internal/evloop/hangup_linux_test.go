package evloop_test

const hearsHangUp = true
