# Made, with an empty plan afterwards; everything modified, with an empty plan afterwards; destroyed.
run "create" {
  assert {
    condition     = output.seen == output.endpoint && output.more != output.endpoint
    error_message = "the data source sees another endpoint, or the two endpoints are one"
  }
}

run "created" {
  command = plan
}

run "modify" {
  variables {
    second = true
  }
  assert {
    condition     = output.endpoint == run.create.endpoint && output.more == run.create.more
    error_message = "the endpoints have other addresses after the change"
  }
}

run "modified" {
  command = plan
  variables {
    second = true
  }
}
