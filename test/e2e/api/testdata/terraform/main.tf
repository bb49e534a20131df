# What an operator of RDS Proxy writes. Everything that can be modified is a variable.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "api" {}
variable "database" {}
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
  name        = "tf/app"
  description = var.second ? "the shop's user" : "a user"
  tags        = var.second ? { team = "shop" } : { team = "other", old = "yes" }
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id     = aws_secretsmanager_secret.app.id
  secret_string = jsonencode({ username = var.user, password = var.password })
}

resource "aws_iam_role" "proxy" {
  name        = "tf-proxy"
  description = var.second ? "reads the shop's secret" : null
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "rds.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
  tags = var.second ? { team = "shop" } : {}
}

resource "aws_iam_role_policy" "proxy" {
  name = "reads"
  role = aws_iam_role.proxy.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = var.second ? ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"] : ["secretsmanager:GetSecretValue"]
      Resource = aws_secretsmanager_secret.app.arn
    }]
  })
}

# A second role, which the proxy changes to.
resource "aws_iam_role" "other" {
  name               = "tf-other"
  assume_role_policy = aws_iam_role.proxy.assume_role_policy
}

resource "aws_iam_policy" "other" {
  name   = "tf-reads"
  policy = aws_iam_role_policy.proxy.policy
}

resource "aws_iam_role_policy_attachment" "other" {
  role       = aws_iam_role.other.name
  policy_arn = aws_iam_policy.other.arn
}

resource "aws_db_proxy" "shop" {
  name                   = var.second ? "tf-store" : "tf-shop"
  engine_family          = "POSTGRESQL"
  role_arn               = var.second ? aws_iam_role.other.arn : aws_iam_role.proxy.arn
  vpc_subnet_ids         = ["subnet-0a", "subnet-0b"]
  vpc_security_group_ids = var.second ? ["sg-0b", "sg-0c"] : ["sg-0a"]
  debug_logging          = var.second
  idle_client_timeout    = var.second ? 900 : 1800
  require_tls            = var.second
  auth {
    auth_scheme = "SECRETS"
    description = var.second ? "the shop" : "a user"
    iam_auth    = var.second ? "REQUIRED" : "DISABLED"
    secret_arn  = aws_secretsmanager_secret.app.arn
  }
  tags = var.second ? { team = "shop", stage = "live" } : { team = "other", old = "yes" }
}

resource "aws_db_proxy_default_target_group" "shop" {
  db_proxy_name = aws_db_proxy.shop.name
  connection_pool_config {
    connection_borrow_timeout    = var.second ? 30 : 120
    max_connections_percent      = var.second ? 60 : 100
    max_idle_connections_percent = var.second ? 20 : 50
    init_query                   = var.second ? "SET datestyle TO iso, dmy" : "SET datestyle TO iso, ymd"
  }
}

resource "aws_db_proxy_target" "shop" {
  db_proxy_name          = aws_db_proxy.shop.name
  target_group_name      = aws_db_proxy_default_target_group.shop.name
  db_instance_identifier = var.database
}

resource "aws_db_proxy_endpoint" "more" {
  count                  = 1
  db_proxy_name          = aws_db_proxy.shop.name
  db_proxy_endpoint_name = "tf-more"
  vpc_subnet_ids         = ["subnet-0a", "subnet-0b"]
  vpc_security_group_ids = var.second ? ["sg-0b"] : ["sg-0a"]
  tags                   = var.second ? { team = "shop" } : { team = "other", old = "yes" }
}

data "aws_db_proxy" "shop" {
  name       = aws_db_proxy.shop.name
  depends_on = [aws_db_proxy_target.shop]
}

output "endpoint" { value = aws_db_proxy.shop.endpoint }
output "seen" { value = data.aws_db_proxy.shop.endpoint }
output "more" { value = aws_db_proxy_endpoint.more[0].endpoint }
output "secret" { value = aws_secretsmanager_secret.app.arn }
output "other_policy" { value = aws_iam_policy.other.arn }
