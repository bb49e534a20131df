# A proxy for MySQL with an instance, and one with a cluster. All that differs from PostgreSQL is set, and modified.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "api" {}
variable "database" {}
variable "cluster" {}
variable "user" {}
variable "password" {}
variable "second" { # another look: everything that can be modified
  type    = bool
  default = false
}

provider "aws" {
  skip_metadata_api_check = true
  endpoints {
    rds            = var.api
    secretsmanager = var.api
    iam            = var.api
    sts            = var.api
  }
}

resource "aws_secretsmanager_secret" "app" {
  name = "tf/mysql"
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id     = aws_secretsmanager_secret.app.id
  secret_string = jsonencode({ username = var.user, password = var.password })
}

resource "aws_iam_role" "proxy" {
  name = "tf-mysql"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "rds.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "proxy" {
  name = "reads"
  role = aws_iam_role.proxy.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = aws_secretsmanager_secret.app.arn }]
  })
}

resource "aws_db_proxy" "shop" {
  name                = var.second ? "tf-store" : "tf-shop"
  engine_family       = "MYSQL"
  role_arn            = aws_iam_role.proxy.arn
  vpc_subnet_ids      = ["subnet-0a", "subnet-0b"]
  debug_logging       = var.second
  idle_client_timeout = var.second ? 900 : 1800
  require_tls         = var.second
  auth {
    auth_scheme               = "SECRETS"
    iam_auth                  = "DISABLED"
    client_password_auth_type = var.second ? "MYSQL_NATIVE_PASSWORD" : "MYSQL_CACHING_SHA2_PASSWORD"
    secret_arn                = aws_secretsmanager_secret.app.arn
  }
  tags = var.second ? { team = "shop", stage = "live" } : { team = "other", old = "yes" }
}

resource "aws_db_proxy_default_target_group" "shop" {
  db_proxy_name = aws_db_proxy.shop.name
  connection_pool_config {
    connection_borrow_timeout    = var.second ? 30 : 60
    max_connections_percent      = var.second ? 60 : 90
    max_idle_connections_percent = var.second ? 20 : 40
    init_query                   = var.second ? "SET time_zone = '+01:00'" : "SET time_zone = '+02:00'"
    # From none to one: the provider does not send an empty list, so that it cannot take filters away, here or from RDS.
    session_pinning_filters = var.second ? ["EXCLUDE_VARIABLE_SETS"] : []
  }
}

resource "aws_db_proxy_target" "shop" {
  db_proxy_name          = aws_db_proxy.shop.name
  target_group_name      = aws_db_proxy_default_target_group.shop.name
  db_instance_identifier = var.database
}

resource "aws_db_proxy_endpoint" "more" {
  db_proxy_name          = aws_db_proxy.shop.name
  db_proxy_endpoint_name = "tf-more"
  vpc_subnet_ids         = ["subnet-0a", "subnet-0b"]
  vpc_security_group_ids = var.second ? ["sg-0b"] : ["sg-0a"]
  tags                   = var.second ? { team = "shop" } : { team = "other", old = "yes" }
}

resource "aws_db_proxy" "cluster" {
  name           = "tf-cluster"
  engine_family  = "MYSQL"
  role_arn       = aws_iam_role.proxy.arn
  vpc_subnet_ids = ["subnet-0a", "subnet-0b"]
  auth {
    auth_scheme = "SECRETS"
    iam_auth    = "DISABLED"
    secret_arn  = aws_secretsmanager_secret.app.arn
  }
}

resource "aws_db_proxy_default_target_group" "cluster" {
  db_proxy_name = aws_db_proxy.cluster.name
  connection_pool_config {
    session_pinning_filters = ["EXCLUDE_VARIABLE_SETS"]
  }
}

resource "aws_db_proxy_target" "cluster" {
  db_proxy_name         = aws_db_proxy.cluster.name
  target_group_name     = aws_db_proxy_default_target_group.cluster.name
  db_cluster_identifier = var.cluster
}

output "endpoint" { value = aws_db_proxy.shop.endpoint }
output "seen" { value = aws_db_proxy.shop.endpoint }
output "more" { value = aws_db_proxy_endpoint.more.endpoint }
