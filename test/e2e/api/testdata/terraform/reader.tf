# What an operator adds for readers: the cluster as the target, and an endpoint for reading.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "api" {}
variable "proxy" {}
variable "cluster" {}

provider "aws" {
  skip_metadata_api_check = true
  endpoints {
    rds = var.api
    iam = var.api
    sts = var.api
  }
}

resource "aws_db_proxy_target" "shop" {
  db_proxy_name         = var.proxy
  target_group_name     = "default"
  db_cluster_identifier = var.cluster
}

resource "aws_db_proxy_endpoint" "reports" {
  db_proxy_name          = var.proxy
  db_proxy_endpoint_name = "reports"
  vpc_subnet_ids         = ["subnet-0a", "subnet-0b"]
  target_role            = "READ_ONLY"
  depends_on             = [aws_db_proxy_target.shop]
}
